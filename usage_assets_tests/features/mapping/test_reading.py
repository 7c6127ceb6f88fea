"""Mappings as people have them: from the published pages, pasted together, with what got lost on the way."""

import json
from pathlib import Path

import pytest

from usage_assets.features.mapping.errors import MappingError
from usage_assets.features.mapping.reading import MappingFile, changed, read

OFFICIAL = Path(__file__).parent / "official"
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


def test_the_five_mappings_of_the_claude_page_are_one_file() -> None:
    found = read(OFFICIAL / "claude.yml")
    assert [each.name for each in found.resources] == [
        "messages_claude_usage_record",
        "cost_report_claude_cost_record",
        "messages_claude_workspace_usage",
        "messages_claude_model_usage",
        "claude_code_claude_code_analytics",
    ]
    model = found.resources[3]
    assert model.kind == "/v1/organizations/usage_report/messages"
    assert model.query_params == {
        "starting_at": ("2025-01-01T00:00:00Z",),
        "bucket_width": ("1d",),
        "group_by[]": ("model",),
    }
    assert str(model.identifier) == '.model + "-" + .bucket_date[:10]'
    assert str(model.data_path).startswith(".data[] | select(")
    assert list(model.properties)[:2] == ["record_date", "model"]
    assert [note for note in found.notes if "blocks" in note] == [
        "claude.yml:28: 5 blocks of resources: all are read here; other parsers keep the last one only"
    ]


def test_the_codex_page_is_read_once_its_expressions_are_in_quotes(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as raised:
        read(OFFICIAL / "codex.yml")
    assert str(raised.value) == (
        "codex.yml:12: this is not YAML: put the whole expression in single quotes "
        "(usage-assets port mapping check --repair does it)"
    )
    found = read(OFFICIAL / "codex.yml", requote=True)
    assert found.requoted == ["codex.yml:12", "codex.yml:13"]
    assert str(found.resources[0].identifier) == '"daily-" + (.timestamp // .aggregation_timestamp // "unknown")'
    assert [each.name for each in found.resources] == ["usage_openai_daily_usage", "usage_openai_model_usage"]
    assert written(tmp_path, found.text).resources[1].properties.keys() == {"model", "date", "requests", "tokens"}


def test_blocks_that_are_joined_give_the_same(tmp_path: Path) -> None:
    found = read(OFFICIAL / "claude.yml")
    joined = written(tmp_path, changed(found.text, dict.fromkeys(found.joins, "")))
    assert joined.text.count("resources:") == 1
    assert [each.name for each in joined.resources] == [each.name for each in found.resources]
    assert joined.text.startswith(found.text[:500])


def test_blocks_are_joined_only_where_nothing_is_lost(tmp_path: Path) -> None:
    flow = "resources: [{kind: /v1/a, port: {entity: {mappings: {identifier: .a, blueprint: .b}}}}]\n"
    assert not written(tmp_path, flow + flow.replace("/v1/a", "/v1/b")).joins
    other = ONE.replace("report", "other")
    assert not written(tmp_path, ONE + other.replace("resources:", "resources: &x")).joins
    found = written(tmp_path, ONE + other.replace("resources:", "resources: # of b"))
    assert changed(found.text, found.joins) == ONE + "# of b\n" + other.removeprefix("resources:\n")


def test_lost_indentation_is_one_line_that_says_where(tmp_path: Path) -> None:
    """The page's text, copied as a browser gives it."""
    flat = "\n".join(line.strip() for line in (OFFICIAL / "claude.yml").read_text().splitlines())
    assert refusal(tmp_path, flat) == (
        "mapping.yml:5: the indentation is lost: selector belongs below resources: copy the block with its spaces, "
        "or indent this line"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("      query: 'true'", "    query: 'true'", ":4: the indentation is lost: query belongs below selector"),
        ("    selector:\n      query", "    query", ":3: the indentation is lost: query belongs below selector"),
        ("resources:", "deleteDependents: true\nresources:", ":1: 'deleteDependents' is unknown in the file; known: "),
        ("query:", "queri:", ":4: 'queri' is unknown in selector; known: query, data_path, query_params"),
        ("blueprint:", "blueprints:", ":9: 'blueprints' is unknown in mappings"),
        ("          blueprint: '\"things\"'\n", "", ":8: blueprint missing below mappings"),
        ("identifier: .id", "identifier: [.id]", ":8: this must be one expression: put it in single quotes"),
        ("identifier: .id", "identifier:", ":8: this has no value: write an expression, or remove it"),
        ("identifier: .id", "identifier: .id\n          identifier: .x", ":9: identifier is here twice below mappings"),
        ("  - kind", "  - name: A b\n    kind", ":2: name 'A b': use a-z, 0-9 and _"),
        ("resources:\n", "resources:\n  - a\n", ":2: resources has a text, not keys with values"),
        ("  - kind", "    kind", ":2: resources must be a list: begin each with"),
        ("identifier: .id", "identifier: [.id", ":9: this is not YAML"),
        ("identifier: .id", "\tidentifier: .id", ":8: this is not YAML: a tab: indent it with spaces"),
        ("      query:", "\xa0\xa0\xa0\xa0query:", ":4: this is not YAML: a space of a web page (U+00A0): type "),
        ("resources:", "```yaml\nresources:", ":1: this is not YAML: a line of Markdown: remove it"),
        ("'\"things\"'", '\'"things"', ":9: this is not YAML: a quote is opened here and not closed: close it"),
        (".id # a", ".id # \0", ":8: this is not YAML: a character U+0000: remove it"),
        ("identifier: .id", "identifier: *x", ":8: this is not YAML: put the whole expression in single quotes"),
        (ONE, "", ": it has no resources: begin it with `resources:`"),
        (ONE, "# nothing", ": it has no resources"),
        (ONE, "resources: []", ": it has no resources"),
        (ONE, "text", ":1: the file has a text, not keys with values: write `resources:` above it"),
        ("resources:\n", "", ":1: the file has a list, not keys with values: write `resources:` above it"),
        ("/v1/report", "/v1/{{ .report }}", ":2: {{ }} is a template, and nothing fills it in here: write what"),
        ("/v1/report", "{{ report }}", ":2: {{ }} is a template"),
        ("query: 'true'", "query_params: {a: {{ b }}}", ":4: {{ }} is a template"),
        ("query: 'true'", "query_params: {a: '{{ b }}'}", ":4: {{ }} is a template"),
        ("query: 'true'", "query_params: {{ b }}", ":4: {{ }} is a template"),
        ("query: 'true'", "query_params: {a: b, a: c}", ":4: a is here twice below query_params: write one list"),
        ("/v1/report", "https://me:secret@host/v1", ":2: kind must be a path, such as /v1/"),
        ("/v1/report", "https://[x", ":2: kind must be a path, such as /v1/"),
        ("identifier: .id", "<<: {a: .b}", ":8: << is not read: write its entries here"),
        (
            "identifier: .id",
            "identifier: {combinator: 'and', rules: []}",
            ":8: a search (combinator, rules) is not read",
        ),
        ("# a comment", "\n          properties: {a: .x, a: .y}", ":9: a is here twice: remove one"),
        (ONE, "a: 1", ":1: 'a' is unknown in the file"),
        (ONE, "enableMergeEntity: true", ": it has no resources"),
        (ONE, "[" * 5000, ":1: this is not YAML: it nests too deep"),
        (ONE, ONE + ONE, ":2: 2 resources are called report_things: give each a `name:`"),
        (ONE, ONE + "---\na: 1", ":10: this is not YAML: a second document begins: remove the line ---"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in ONE
    assert refusal(tmp_path, ONE.replace(old, new, 1)).startswith(f"mapping.yml{said}")


def test_a_list_of_mappings_is_refused(tmp_path: Path) -> None:
    listed = ONE.replace("          identifier", "        - identifier")
    assert refusal(tmp_path, listed) == (
        "mapping.yml:8: mappings is a list: as in Ocean, a resource makes one entity of an item: repeat the resource "
        "for each of the list"
    )


@pytest.mark.parametrize(
    "selector",
    [
        "query_params: api_key=KEY",
        "query_params: {a: {b: KEY}}",
        "KEYS: KEY",
        "headers: {x-api-key: KEY",
        "method: [KEY]",
    ],
)
def test_no_message_has_a_value_that_may_be_a_key(tmp_path: Path, selector: str) -> None:
    assert "KEY" not in refusal(tmp_path, ONE.replace("query: 'true'", selector)).replace("KEYS", "")


@pytest.mark.parametrize(
    "headers",
    ["headers: {x-api-key: KEY}", "headers:\n        x-api-key: KEY # KEY\n      method: GET", "headers: &h {x: KEY}"],
)
def test_what_is_kept_of_a_resource_has_no_headers(tmp_path: Path, headers: str) -> None:
    """It is in the metadata of its asset, which everybody with the UI sees."""
    [found] = written(tmp_path, ONE.replace("query: 'true'", headers)).resources
    assert "KEY" not in found.text
    assert found.text.startswith("kind: /v1/report")
    assert found.text.endswith("blueprint: '\"things\"'")
    assert ("method: GET" in found.text) == ("method: GET" in headers)


def test_a_large_file_is_no_mapping(tmp_path: Path) -> None:
    assert refusal(tmp_path, ONE + "#" * (1 << 20)).endswith(
        "mapping.yml: larger than 1 MB, so it is no mapping: name another file"
    )


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="No such file or directory"):
        read(tmp_path / "none.yml")
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(MappingError, match="not a text in UTF-8"):
        read(tmp_path / "bytes.yml")


def test_an_alias_is_read_as_what_it_stands_for(tmp_path: Path) -> None:
    text = ONE.replace("query: 'true'", "query_params: {a: &x y, b: *x, c: [*x, z]}")
    [found] = written(tmp_path, text).resources
    assert found.query_params == {"a": ("y",), "b": ("y",), "c": ("y", "z")}


@pytest.mark.parametrize(
    ("written_as", "read_as"),
    [
        (">-\n            .a\n            | .b\n              + .c", ".a | .b\n  + .c"),
        ("|\n            .a\n            | .b", ".a\n| .b"),
        ('".a\\n| .b"', ".a\n| .b"),
    ],
    ids=["folded", "literal", "quoted"],
)
def test_an_expression_of_several_lines_is_read(tmp_path: Path, written_as: str, read_as: str) -> None:
    [resource] = written(tmp_path, ONE.replace(".id # a comment", written_as)).resources
    assert resource.identifier.text.rstrip("\n") == read_as


def test_root_keys_of_ocean_are_answered_by_name(tmp_path: Path) -> None:
    keys = "deleteDependentEntities: true\ncreateMissingRelatedEntities: true\nentityDeletionThreshold: 0.9\n"
    found = written(tmp_path, keys + ONE)
    assert [note.partition(":")[2].partition(" is not used: ")[0] for note in found.notes] == [
        "1: deleteDependentEntities",
        "2: createMissingRelatedEntities",
        "3: entityDeletionThreshold",
    ]


def test_what_ocean_says_of_lists_in_items_is_read(tmp_path: Path) -> None:
    more = "    port:\n      itemsToParse: .results\n      itemsToParseName: result\n"
    text = ONE.replace("    port:\n", more + "      itemsToParseTopLevelTransform: false\n")
    [found] = written(tmp_path, text).resources
    assert (str(found.items_to_parse), found.items_to_parse_name) == (".results", "result")
    assert found.items_to_parse_top_level_transform is False
    [plain] = written(tmp_path, ONE).resources
    assert (plain.items_to_parse, plain.items_to_parse_name) == (None, "item")
    assert plain.items_to_parse_top_level_transform is True


@pytest.mark.parametrize(
    ("style", "new"),
    [
        (".id # a comment", ".a + 'it' + \"b\""),
        ("'.id'", ".b"),
        ("&id .id # a comment", ".b"),
        ("!!str &id '.id' # a comment", ".b"),
        ('".id" # a comment', '.x # c\n| "\\(.y)"'),
        ("|\n            .id\n            | .b", ".c |\n  .d"),
        (">-\n            .id\n            | .b", ".c"),
    ],
)
def test_an_expression_is_replaced_and_nothing_else(tmp_path: Path, style: str, new: str) -> None:
    before = written(tmp_path, ONE.replace(".id # a comment", style))
    old = before.resources[0].identifier
    after = written(tmp_path, changed(before.text, {(old.start, old.end): old.rendered(new, before.text)}))
    assert after.resources[0].identifier.text.rstrip("\n") == new
    assert after.resources[0].blueprint.text == json.dumps("things")
    assert ("# a comment" in after.text) == ("# a comment" in style)
    assert ("&id" in after.text) == ("&id" in style)


def test_a_comment_behind_an_expression_stays_one(tmp_path: Path) -> None:
    text = ONE.replace(".id # a comment", '"a # b" + .id   # a comment')
    found = written(tmp_path, text, requote=True)
    assert found.resources[0].identifier.text == '"a # b" + .id'
    assert "# a comment" in found.text
