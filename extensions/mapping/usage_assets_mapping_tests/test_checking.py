"""What `usage-assets port mapping check` says of mappings, and what `--repair` makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from usage_assets.cli.main import main
from usage_assets_mapping.reading import read

OFFICIAL = Path(__file__).parent / "official"
LEGACY = """
[[connection]]
name = "old"
provider = "openai_legacy"
key = "env:OLD_KEY"
"""
COLLIDE = "terminal_type, customer_type, subscription_type, is_remote get one identifier: the last one wins"


@dataclass(frozen=True)
class Said:
    code: object
    lines: list[str]
    complaints: list[str]

    def of(self, place: str) -> list[str]:
        """The lines about a place, without it."""
        return [line.strip().replace(f"{place}: ", "") for line in self.lines if f" {place}: " in line]


Type = Callable[..., Said]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Type:
    """Types `usage-assets port mapping check mapping.yml ...` in a folder with this mapping."""
    monkeypatch.chdir(tmp_path)

    def run(text: str | None, *arguments: str) -> Said:
        if text is not None:
            Path("mapping.yml").write_text(text)
        with pytest.raises(SystemExit) as ended:
            main(["port", "mapping", "check", "mapping.yml", *arguments])
        out, err = capfd.readouterr()
        return Said(ended.value.code, out.splitlines(), err.splitlines())

    return run


@pytest.fixture
def claude() -> str:
    return (OFFICIAL / "claude.yml").read_text()


def one(
    data_path: str, identifier: str, *properties: str, kind: str = "usage_report/claude_code", params: str = "{}"
) -> str:
    """A mapping of one resource of the Claude page's API."""
    lines = "".join(f"            {each}\n" for each in properties)
    return f"""resources:
  - kind: /v1/organizations/{kind}
    selector: {{query: 'true', data_path: '{data_path}', query_params: {params}}}
    port:
      entity:
        mappings:
          identifier: '{identifier}'
          blueprint: '"things"'
          properties:
{lines}"""


def test_the_claude_page_has_its_known_mistakes_and_no_others(check: Type, claude: str) -> None:
    said = check(claude)
    assert said.code == 0
    stored = "from days grouped by workspace_id, api_key_id, account_id, model, service_tier; other dimensions are null"
    assert [line.strip() for line in said.lines if "answered" in line] == [
        f"answered by anthropic/usage_messages: added up to one result a day, {stored}",
        "answered by anthropic/cost_report: archived, not grouped",
        f"answered by anthropic/usage_messages: added up to workspace_id, {stored}",
        f"answered by anthropic/usage_messages: added up to model, {stored}",
        "answered by anthropic/claude_code: archived, not grouped",
    ]
    lost = "(--repair mends it)"
    many = f"data_path gives several outputs: Ocean keeps the first one of each page, here all are items {lost}"
    email = (
        "the answer has no .actor.email, it is .actor.email_address: the value is always missing (--repair mends it)"
    )
    assert [line.strip().partition(" mapping.yml:")[2] for line in said.lines if "WARNING" in line] == [
        f"13: {many}",
        f"38: {many}",
        f"47: properties.amount: the provider sends cents: as dollars it is 100 times too much {lost}",
        f"60: {many}",
        f"91: identifier: .model may be null: all rows without it get one identifier {lost}",
        f"92: title: .model may be null: identifiers say it is unknown {lost}",
        f"96: properties.model: .model may be null: identifiers say it is unknown {lost}",
        f"87: {many}",
        f"112: {many}",
        f"116: identifier: {email}",
        f"117: title: {email}",
        f"123: properties.actor_name: {email}",
        f"116: identifier: rows that differ only in actor_type, actor_email, {COLLIDE}",
    ]
    exact = "NOTE properties.amount: JQ computes with doubles; anthropic.cost_report.amount_cents is exact"
    assert said.of("mapping.yml:47")[0] == exact


def test_repair_mends_them_and_keeps_everything_else(check: Type, claude: str) -> None:
    before = claude.replace("          properties:\n", "          properties: # mine\n")
    assert check(before, "--repair").lines[-1] == "mapping.yml: 16 places mended; check it again"
    after = Path("mapping.yml").read_text()
    assert after.count("# mine") == 5
    assert after.count("resources:") == 1
    again = check(None, "--repair")
    assert again.lines[-1] == "mapping.yml: nothing to mend"
    assert Path("mapping.yml").read_text() == after
    assert [line.strip() for line in again.lines if "WARNING" in line] == [
        f"WARNING mapping.yml:112: identifier: rows that differ only in actor_type, {COLLIDE}"
    ]
    left = [line for line in before.splitlines() if line not in after.splitlines()]
    assert len(left) == 12, "the expressions that are mended, and nothing else"
    assert [each.name for each in read(Path("mapping.yml")).resources] == [
        each.name for each in read(OFFICIAL / "claude.yml").resources
    ]


def test_repair_undoes_what_would_break_the_mapping(check: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    text = one(".data[]", ".date", "a: .b")
    for broken in ("'[.data'", "'.data |'", "[]"):
        monkeypatch.setattr("usage_assets_mapping.reading.Expression.rendered", lambda *_, to=broken: to)
        said = check(text, "--repair")
        assert said.lines[-1].startswith("mapping.yml: nothing was mended; more would break it")
        assert Path("mapping.yml").read_text() == text


def test_the_codex_page_needs_quotes_and_fails_on_numbers(
    check: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "connections.toml").write_text(LEGACY)
    monkeypatch.setenv("USAGE_CONNECTIONS", str(tmp_path / "connections.toml"))
    text = (OFFICIAL / "codex.yml").read_text()
    said = check(text, "--repair")
    assert said.code == 0
    for place in ("mapping.yml:12", "mapping.yml:13"):
        assert said.of(place)[0] == "WARNING not YAML without quotes around the expression (--repair mends it)"
    assert said.of("mapping.yml:3")[-1] == "WARNING without data_path, the whole answer is one item: one entity a day"
    assert (
        "WARNING properties.date: fails where .timestamp is a number (split input and separator must be strings): "
        "use | todate" in said.of("mapping.yml:16")
    )
    assert said.lines[-1] == "mapping.yml: 3 places mended; check it again"
    assert len(read(Path("mapping.yml")).resources) == 2


def test_what_cannot_be_answered_or_run_is_an_error(check: Type) -> None:
    said = check(one(".data", ".id |", "a: env", "b: .x + ", params="{group_by: model}"))
    assert said.code == 1
    assert said.of("mapping.yml:2")[-1].startswith("ERROR")
    assert said.of("mapping.yml:7") == ["ERROR identifier: jq cannot read it: syntax error, unexpected end of file"]
    assert said.of("mapping.yml:10") == ["ERROR properties.a: env must not be used: an expression sees the answer only"]
    assert said.of("mapping.yml:11") == ["ERROR properties.b: jq cannot read it: syntax error, unexpected end of file"]


def test_common_mistakes_in_jq_say_what_to_write(check: Type) -> None:
    for written_as, advice in [
        ("things", """: a fixed text is '"things"'"""),
        ('\u2018"things"\u2019', ": type straight quotes instead of curly ones"),
        (">\n            # mine\n            .b", ": > joins the lines, so a comment takes in the rest: write |"),
    ]:
        said = check(one(".data", ".date", "a: .b").replace("""'"things"'""", written_as))
        [line] = said.of("mapping.yml:8")
        assert line.startswith("ERROR blueprint: jq cannot read it: "), written_as
        assert line.endswith(advice)


def test_no_value_of_an_unknown_parameter_is_shown(check: Type) -> None:
    for params, kind in (("{x-api-key: KEY}", "cost_report"), ("{}", "cost_report?key=KEY"), ("{}", "other?key=KEY")):
        said = check(one(".data", ".date", "a: .b", kind=kind, params=params))
        assert said.code == 1
        assert "KEY" not in str(said)


def test_an_expression_that_fails_or_never_gives_a_value_is_named(check: Type) -> None:
    said = check(one(".data", ".date", "a: .num_sessions", "b: .actor + 1", "c: .core_metrics.num_sessions"))
    assert said.code == 0
    assert said.of("mapping.yml:10") == ["WARNING properties.a: gives no value on a made-up answer of these groups"]
    assert said.of("mapping.yml:11")[0].startswith(
        "WARNING properties.b: fails on a made-up answer, so it is null: object"
    )
    assert said.of("mapping.yml:12") == []


def test_amounts_may_be_texts(check: Type) -> None:
    """Anthropic sends them so, and OpenAI has begun to in 2026 (mozilla/bigquery-etl pull request 9739)."""
    of_day = (
        "a: .results[0].amount / 100",
        "b: .results[0].amount * 0.01",
        "c: ([.results[].amount] | add) / 100",
        "d: (.results[0].amount // 0) / 100",
        "e: .results[0].amount",
        'f: (.results[0].amount // "0" | tonumber) / 100',
    )
    said = check(one(".data", ".starting_at", *of_day, kind="cost_report"), "--repair")
    no_number = 'string ("12.5") and number (100) cannot be divided'
    mends = "(--repair mends it)"
    assert [said.of(f"mapping.yml:{line}")[-1] for line in (10, 11, 14)] == [
        f"WARNING properties.a: fails where an amount is a text ({no_number}): use | tonumber {mends}",
        f'WARNING properties.b: gives "" where an amount is a text: use | tonumber {mends}',
        'WARNING properties.e: gives "12.5" where an amount is a text: use | tonumber',
    ]
    assert not [line for line in said.of("mapping.yml:15") if "WARNING" in line]
    while check(None, "--repair").lines[-1] != "mapping.yml: nothing to mend":
        pass
    [costs] = read(Path("mapping.yml")).resources
    assert {name: each.text for name, each in costs.properties.items()} == {
        "a": "(.results[0].amount | tonumber) / 100",
        "b": "(.results[0].amount | tonumber) * 0.01",
        "c": "([(.results[] | .amount | tonumber)] | add) / 100",
        "d": "((.results[0].amount | tonumber) // 0) / 100",
        "e": "((.results[0].amount | tonumber)) / 100",
        "f": '(.results[0].amount // "0" | tonumber) / 100',
    }


def test_the_first_result_of_a_grouped_answer_loses_the_others(check: Type) -> None:
    text = one(
        ".data",
        ".starting_at",
        "a: .results[0].output_tokens",
        kind="usage_report/messages",
        params="{group_by: model}",
    )
    assert check(text).of("mapping.yml:10") == [
        "WARNING properties.a: [0] keeps one result of each day, but they are grouped by model: the others are lost"
    ]
    assert check(text.replace("group_by: model", "")).of("mapping.yml:10") == []
