"""Mappings as people have them: from the published pages, pasted together, with what got lost on the way."""

import json
from pathlib import Path

import pytest

from usage_assets_mapping.errors import MappingError
from usage_assets_mapping.reading import MappingFile, changed, read
from usage_assets_tests.models.days import cases

ONE = """resources:
  - kind: /v1/report
    selector:
      query: 'true'
    port:
      entity:
        mappings:
          identifier: .id # a comment
          blueprint: '"things"'
"""


def written(tmp_path: Path, text: str, *, requote: bool = False) -> MappingFile:
    file = tmp_path / "mapping.yml"
    file.write_text(text)
    return read(file, requote=requote)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(MappingError) as raised:
        written(tmp_path, text)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_blocks_are_joined_only_where_nothing_is_lost(tmp_path: Path) -> None:
    flow = "resources: [{kind: /v1/a, port: {entity: {mappings: {identifier: .a, blueprint: .b}}}}]\n"
    assert not written(tmp_path, flow + flow.replace("/v1/a", "/v1/b")).joins
    other = ONE.replace("report", "other")
    assert not written(tmp_path, ONE + other.replace("resources:", "resources: &x")).joins
    found = written(tmp_path, ONE + other.replace("resources:", "resources: # of b"))
    assert changed(found.text, found.joins) == ONE + "# of b\n" + other.removeprefix("resources:\n")


def test_what_cannot_be_used_is_one_line_with_its_place(tmp_path: Path) -> None:
    for old, new, said in [
        *cases(r"""
    query: -> queri: -> :4: 'queri' is unknown in selector; known: query, data_path, query_params
    blueprint: -> blueprints: -> :9: 'blueprints' is unknown in mappings
    identifier: .id -> identifier: [.id] -> :8: this must be one expression: put it in single quotes
    identifier: .id -> identifier: -> :8: this has no value: write an expression, or remove it
    identifier: .id -> identifier: [.id -> :9: this is not YAML
    '"things"' -> '"things" -> :9: this is not YAML: a quote is opened here and not closed: close it
    identifier: .id -> identifier: *x -> :8: this is not YAML: put the whole expression in single quotes
    /v1/report -> /v1/{{ .report }} -> :2: {{ }} is a template, and nothing fills it in here: write what
    /v1/report -> {{ report }} -> :2: {{ }} is a template
    query: 'true' -> query_params: {a: {{ b }}} -> :4: {{ }} is a template
    query: 'true' -> query_params: {a: '{{ b }}'} -> :4: {{ }} is a template
    query: 'true' -> query_params: {{ b }} -> :4: {{ }} is a template
    query: 'true' -> query_params: {a: b, a: c} -> :4: a is here twice below query_params: write one list
    /v1/report -> https://me:secret@host/v1 -> :2: kind must be a path, such as /v1/
    /v1/report -> https://[x -> :2: kind must be a path, such as /v1/
    identifier: .id -> <<: {a: .b} -> :8: << is not read: write its entries here
    identifier: .id -> identifier: {combinator: 'and', rules: []} -> :8: a search (combinator, rules) is not read
    resources: -> deleteDependents: true\nresources: -> :1: 'deleteDependents' is unknown in the file; known:
    identifier: .id -> identifier: .id\n          identifier: .x -> :9: identifier is here twice below mappings
    resources:\n -> resources:\n  - a\n -> :2: resources has a text, not keys with values
    identifier: .id -> \tidentifier: .id -> :8: this is not YAML: a tab: indent it with spaces
    resources: -> ```yaml\nresources: -> :1: this is not YAML: a line of Markdown: remove it
    ONE ->  -> : it has no resources: begin it with `resources:`
    ONE -> # nothing -> : it has no resources
    ONE -> resources: [] -> : it has no resources
    ONE -> text -> :1: the file has a text, not keys with values: write `resources:` above it
    resources:\n ->  -> :1: the file has a list, not keys with values: write `resources:` above it
    # a comment -> \n          properties: {a: .x, a: .y} -> :9: a is here twice: remove one
    ONE -> a: 1 -> :1: 'a' is unknown in the file
    ONE -> enableMergeEntity: true -> : it has no resources
"""),
        ("      query: 'true'", "    query: 'true'", ":4: the indentation is lost: query belongs below selector"),
        ("    selector:\n      query", "    query", ":3: the indentation is lost: query belongs below selector"),
        ("          blueprint: '\"things\"'\n", "", ":8: blueprint missing below mappings"),
        ("  - kind", "  - name: A b\n    kind", ":2: name 'A b': use a-z, 0-9 and _"),
        ("  - kind", "    kind", ":2: resources must be a list: begin each with"),
        ("      query:", "\xa0\xa0\xa0\xa0query:", ":4: this is not YAML: a space of a web page (U+00A0): type "),
        (".id # a", ".id # \0", ":8: this is not YAML: a character U+0000: remove it"),
        (ONE, "[" * 1000, ":1: this is not YAML: it nests too deep"),
        (ONE, ONE + ONE, ":2: 2 resources are called report_things: give each a `name:`"),
        (ONE, ONE + "---\na: 1", ":10: this is not YAML: a second document begins: remove the line ---"),
    ]:
        before, after = (each.replace("ONE", ONE).replace(r"\n", "\n").replace(r"\t", "\t") for each in (old, new))
        assert before in ONE
        assert refusal(tmp_path, ONE.replace(before, after, 1)).startswith(f"mapping.yml{said}")


def test_no_message_has_a_value_that_may_be_a_key(tmp_path: Path) -> None:
    for selector in [
        "query_params: api_key=KEY",
        "query_params: {a: {b: KEY}}",
        "KEYS: KEY",
        "headers: {x-api-key: KEY",
        "method: [KEY]",
    ]:
        assert "KEY" not in refusal(tmp_path, ONE.replace("query: 'true'", selector)).replace("KEYS", "")


def test_what_is_kept_of_a_resource_has_no_headers(tmp_path: Path) -> None:
    """It is in the metadata of its asset, which everybody with the UI sees."""
    for headers in [
        "headers: {x-api-key: KEY}",
        "headers:\n        x-api-key: KEY # KEY\n      method: GET",
        "headers: &h {x: KEY}",
    ]:
        [found] = written(tmp_path, ONE.replace("query: 'true'", headers)).resources
        assert "KEY" not in found.text, headers
        assert found.text.startswith("kind: /v1/report"), headers
        assert found.text.endswith("blueprint: '\"things\"'"), headers
        assert ("method: GET" in found.text) == ("method: GET" in headers)


def test_an_expression_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    for style, new in [
        (".id # a comment", ".a + 'it' + \"b\""),
        ("'.id'", ".b"),
        ("&id .id # a comment", ".b"),
        ("!!str &id '.id' # a comment", ".b"),
        ('".id" # a comment', '.x # c\n| "\\(.y)"'),
        ("|\n            .id\n            | .b", ".c |\n  .d"),
        (">-\n            .id\n            | .b", ".c"),
    ]:
        before = written(tmp_path, ONE.replace(".id # a comment", style))
        old = before.resources[0].identifier
        after = written(tmp_path, changed(before.text, {(old.start, old.end): old.rendered(new, before.text)}))
        assert after.resources[0].identifier.text.rstrip("\n") == new
        assert after.resources[0].blueprint.text == json.dumps("things"), style
        assert ("# a comment" in after.text) == ("# a comment" in style)
        assert ("&id" in after.text) == ("&id" in style)


def test_a_comment_behind_an_expression_stays_one(tmp_path: Path) -> None:
    text = ONE.replace(".id # a comment", '"a # b" + .id   # a comment')
    found = written(tmp_path, text, requote=True)
    assert found.resources[0].identifier.text == '"a # b" + .id'
    assert "# a comment" in found.text
