"""Sections of the connections file that the report reads: refused with file, line and field, or stored."""

from pathlib import Path
from typing import get_args

import pytest

from usage_assets.config.accounting import OF_SECTIONS
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.models.costs import VIEWS
from usage_assets.models.model import money_seed
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import write_seed
from usage_assets_report.entries import Guardrail, Measure, Metric, WhatIf
from usage_assets_tests.alone import core_alone
from usage_assets_tests.models.days import cases

WHAT_IF = '[[what_if]]\nprovider = "openai"\nmodel = "gpt-5"\n'
METRIC = '[[metric]]\nfile = "prs.csv"\n'
GUARDRAIL = '[[guardrail]]\nname = "all"\nmeasure = "usd"\nabove = 9\n'
NOTE = '[[note]]\nname = "move"\ntext = "moved to Bedrock"\nvalid_from = 2026-11-01\n'
MISTAKES = cases("""
    [[what_if]]; provider = "openai"; model = "gpt-5"
      -> line 1: what_if.1: name at least one of to, tier, cached_share
    [[what_if]]; provider = "openai"; model = "gpt-5"; cached_share = 1.1
      -> line 4: what_if.1.cached_share: Input should be less than or equal to 1
    [[metric]]; file = "prs.csv"; sql = "select 1" -> line 1: metric.1: name file, or database and sql
    [[metric]]; sql = "prs.csv" -> line 1: metric.1: name file, or database and sql
    [[metric]]; file = "prs.csv"; scope = "model"
      -> line 3: metric.1.scope: Input should be 'team', 'project' or 'connection'
    [[metric]]; file = "prs.csv"; name = "x" -> line 3: metric.1.name: unknown; known: file, database, sql, scope
    [[guardrail]]; name = "all"; measure = "usd" -> line 1: guardrail.1: name one of above, rises_by
    [[guardrail]]; name = "all"; measure = "usd"; rises_by = 3
      -> line 1: guardrail.1: name rises_by and at_least together
    [[guardrail]]; name = "all"; measure = "usd"; rises_by = 1; at_least = 100
      -> line 4: guardrail.1.rises_by: Input should be greater than 1
    [[guardrail]]; name = "spike"; measure = "usd"; above = 9
      -> line 2: guardrail.1.name: spike, drop, shift are kinds of anomalies
    [[guardrail]]; name = "all"; measure = "dollars"; above = 9
      -> line 3: guardrail.1.measure: Input should be 'usd', 'requests',
    [[guardrail]]; name = "all"; measure = "usd"; above = 9;
      [[guardrail]]; name = "all"; measure = "usd"; rises_by = 3; at_least = 100 -> line 5: guardrail.2: says again what
    [[note]]; name = "move"; text = "moved to Bedrock" -> line 1: note.1.valid_from: Field required
    [[note]]; name = "move"; text = "moved to Bedrock"; valid_from = 2026-11-01; team = "web"; model = "gpt-5"
      -> line 1: note.1: name at most one of connection, team,
""")
"""What a file states, and what is said of it."""


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> Settings:
    Path("connections.toml").write_text(text)
    return Settings.load(_env_file=None, usage_connections="connections.toml")


def test_a_mistake_is_named_by_file_line_and_field() -> None:
    for text, expected in MISTAKES:
        with pytest.raises(SettingsError) as refused:
            load(text.replace("; ", "\n")).accounting()
        assert expected in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_measure_is_a_column_of_usage_or_computed_from_some() -> None:
    view = next(view.sql for view in VIEWS if "view costs.usage as" in view.sql)
    assert [name for name in get_args(Measure) if f"\n  {name}" not in view] == ["usd", "tokens"]


def test_entries_are_read_and_stored_and_what_is_stored_stays_without_the_package(tmp_path: Path) -> None:
    settings = load(f'{GUARDRAIL}connection = "openai"\n{METRIC}{WHAT_IF}cached_share = 0.5\n{NOTE}')
    accounting = settings.accounting()
    assert [each.name for each in accounting.of_section("guardrail", Guardrail)] == ["all"]
    assert len(accounting.of_section("metric", Metric)) == len(accounting.of_section("what_if", WhatIf)) == 1
    tables = accounting.tables()
    assert [tables[row].num_rows for row in OF_SECTIONS.values()] == [1, 1, 1]
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with warehouse.transaction() as database:
        write_seed(database, money_seed(accounting))
    with core_alone():
        alone = load(Path("connections.toml").read_text())
        assert alone.kept_connections == set(), "a guardrail says nothing of what is pushed"
        assert not {*OF_SECTIONS.values()} & alone.accounting().tables().keys()
        with warehouse.transaction() as database:
            write_seed(database, money_seed(alone.accounting()))
    for row in OF_SECTIONS.values():
        assert warehouse.read(f"from {row.table}").num_rows == 1
