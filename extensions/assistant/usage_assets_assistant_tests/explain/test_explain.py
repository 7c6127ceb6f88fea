"""Every figure can be followed to the archived values that are in it, and computed again from the archived bytes."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import time_machine

from usage_assets.config.settings import Settings
from usage_assets.fetching.archive.files import files_of
from usage_assets.models.insights import AnomalyRow
from usage_assets.warehouse.published import publish
from usage_assets_assistant.explain.chain import Explainer, ShownFigure, ShownValue
from usage_assets_assistant.explain.figures import (
    COMPUTED,
    FOCUS,
    FOCUS_AMOUNTS,
    NAMED,
    RESTATEMENTS,
    SOURCES,
    USAGE,
    USAGE_BY_MODEL,
    Figure,
    fetch,
    literal,
    measures_of,
    row_model,
    rows_of,
)
from usage_assets_assistant.explain.recompute import recomputed, value_of
from usage_assets_report_tests.computed import compute_insights
from usage_assets_tests.alone import is_there
from usage_assets_tests.end_to_end.conftest import (
    Project,
    hold_project,
    settings_in,
    with_everything,
)
from usage_assets_tests.fixtures import IS_NIGHT, Sandbox, last_days

MORNING, SEED = datetime(2026, 11, 4, 8, tzinfo=UTC), 14
DAYS = [MORNING.date() - timedelta(days=n) for n in range(24 if IS_NIGHT else 4, 0, -1)]
"""They begin in a month and end in the next one."""
MONEY = """
[[credit_rate]]
workspace = "ws-sandbox"
usd_per_credit = 0.04
valid_from = 2026-01-01
source = "contract"

[[owner]]
user = "bob@acme-robotics.example"
team = "web"

[[budget]]
name = "all"
amount = 5000

[[budget]]
name = "codex"
credits = 10000
connection = "chatgpt"

[[guardrail]]
name = "images"
measure = "images"
above = 1

[[guardrail]]
name = "web"
team = "web"
measure = "tokens"
rises_by = 1.01
at_least = 1
"""
OF_WHOLE_MONTHS = "costs.by_month"
IN_CENTS = ("anthropic", "openai_legacy", "cursor")
"""Connections that state cents."""
ALIKE = (
    *("usage_embeddings", "usage_moderations", "usage_audio_speeches", "usage_audio_transcriptions"),
    *("usage_code_interpreter_sessions", "usage_file_search_calls", "usage_web_search_calls"),
)
"""Reports that are treated as others are: of the night."""
RESTATED = DAYS[-3]
FLOOR = [date(2025, 12, 5), date(2025, 12, 6)]
"""OpenAI groups by API key from the second of these days on."""
PER_CREDIT = Decimal("0.04")


@dataclass(frozen=True)
class Company:
    """A month of a company, as it is published."""

    settings: Settings
    database: duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def company(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    sandbox_process.control("POST", "reset", {"now": MORNING.isoformat()})
    variables = with_everything(folder, *(() if IS_NIGHT else ALIKE)) | {"USAGE_PEOPLE": "names"}
    connections = Path(variables["USAGE_CONNECTIONS"])
    connections.write_text(connections.read_text() + MONEY)
    with time_machine.travel(MORNING):
        with hold_project(sandbox_process, folder, variables) as project:
            project.fetch_all(DAYS)
            for connection in ("openai", "anthropic"):
                assert project.look_up(connection).success
            sandbox_process.restate("anthropic", RESTATED)
            assert project.fetch("anthropic", [RESTATED]).success
            warehouse, settings = project.warehouse, settings_in(sandbox_process, folder, variables)
            compute_insights(warehouse, settings, MORNING)
            publish(warehouse)
        with warehouse.reading() as database:
            database.execute("set threads = 1")  # queries are small: a second thread costs more than it saves
            yield Company(settings, database)


def relations(database: duckdb.DuckDBPyConnection, choice: random.Random) -> Sequence[str]:
    """Every view with figures, and some of the tables; at night all."""
    stored = "select distinct table_name from ledger.stored_days order by all"
    tables = [name for (name,) in database.execute(stored).fetchall() if row_model(name)]
    return [
        *(tables if IS_NIGHT else choice.sample(tables, 4)),
        *SOURCES,
        *NAMED,
        *([FOCUS] if is_there("finance") else ()),
        USAGE,
        USAGE_BY_MODEL,
        RESTATEMENTS,
        *COMPUTED,
    ]


def chosen(database: duckdb.DuckDBPyConnection) -> Sequence[Figure]:
    """Figures at random, one of each table and view (at night about two), all of a few days."""
    choice = random.Random(SEED)
    days = [choice.choice(DAYS), RESTATED]
    known = relations(database, choice)
    where_of = {
        FOCUS: "x_FirstDay = $day",
        OF_WHOLE_MONTHS: "month = date_trunc('month', $first)",
        RESTATEMENTS: "cause = 'provider' and total is not null",
        AnomalyRow.table: "closed_on is null",
    }
    figures: list[Figure] = []
    while len(figures) < (200 if IS_NIGHT else len(known)):
        relation = known[len(figures) % len(known)]
        day = choice.choice(days)
        where = where_of.get(relation, "true" if relation in COMPUTED else "usage_date = $day")
        bounds = {"day": day, "first": DAYS[0]}
        used = {name: bounds[name] for name in bounds if f"${name}" in where}
        rows = fetch(database, f"select * from {rows_of(relation)} where {where} order by all", used)
        amounts = FOCUS_AMOUNTS if relation == FOCUS else [each.name for each in measures_of(relation)]
        row = choice.choice(rows) if rows else {}
        named = [name for name in amounts if row.get(name) is not None and name != "usd_rate"]
        if named:
            figures.append(Figure(relation, choice.choice(named), [row]))
        else:
            known = [name for name in known if rows or name != relation]
    return figures


def at(path: str, body: Any) -> Any:
    """The value at a JSONPath."""
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        body = body[name or int(index)]
    return body


class Archived:
    """The archive, read by nothing of ours. Numbers are texts."""

    def __init__(self) -> None:
        self._texts: dict[str, list[Any]] = {}

    def text_of(self, value: ShownValue) -> str:
        if value.file not in self._texts:
            path, first_byte = value.file.rsplit(":", 1)
            content = pa.CompressedInputStream(pa.OSFile(path), "zstd").read()[int(first_byte) - 1 :]
            self._texts[value.file] = [*_documents(content.decode())]
        text: str = at(value.path, self._texts[value.file][value.page])
        return text


def _documents(content: str) -> Iterator[Any]:
    """The JSON texts of a file, one after the other: a page of GitHub's has line breaks of its own."""
    decoder, end = json.JSONDecoder(parse_float=str, parse_int=str), 0
    while rest := content[end:].lstrip():
        start = len(content) - len(rest)
        found, end = decoder.raw_decode(content, start)
        yield found


def adds_up(figure: ShownFigure) -> bool | None:
    """Whether a figure is the sum of its values; None where it is a part of a bill, or not a plain sum."""
    tables = {value.table for value in figure.values}
    names = {value.path.rpartition(".")[2] for value in figure.values}
    if len(tables) != 1 or len(names) != 1:
        return None
    [table], [name] = tables, names
    is_dollars = figure.unit in ("USD", "currency", "dollars")
    per_value = Decimal("0.01") if table.partition(".")[0] in IN_CENTS else Decimal(1)
    scale = (PER_CREDIT if name == "credits" else per_value) if is_dollars else Decimal(1)
    newest = max(stored_at(value) for value in figure.values)
    signs = {value: -1 if figure.column == "difference" and stored_at(value) < newest else 1 for value in figure.values}
    with localcontext(prec=100):
        return figure.value == sum((Decimal(value.text) * sign for value, sign in signs.items()), Decimal(0)) * scale


def stored_at(value: ShownValue) -> datetime:
    """When the answer of a value was archived."""
    [file] = (file for file in files_of(Path(value.file.rpartition(":")[0])) if file.place == value.file)
    return file.stored_at


def of_days(explainer: Explainer, figure: Figure) -> Sequence[Figure]:
    """What is to be followed to the archive: a figure, or what a computed one has of a day."""
    if figure.relation not in COMPUTED:
        return [figure]
    explained = explainer.explain([figure])
    assert not explained.missing, figure
    computation = explained.figures[0].computation
    assert computation
    assert computation.again == figure.value
    used = {each.day for each in computation.inputs if each.value}
    return explainer.computations.inputs(figure, [RESTATED]) if RESTATED in used else []


def test_random_figures_are_followed_to_the_archive_and_computed_again_from_it_alone(company: Company) -> None:
    figures = chosen(company.database)
    assert {figure.relation for figure in figures} > {USAGE, USAGE_BY_MODEL, RESTATEMENTS, *COMPUTED}
    explainer, archived, sums = Explainer(company.settings, company.database), Archived(), Counter[bool | None]()
    followed = [part for figure in figures for part in of_days(explainer, figure)]
    for figure in followed:
        explained = explainer.explain([figure])
        [shown] = explained.figures
        assert not explained.missing, figure
        assert shown.value == figure.value
        assert shown.values or not shown.value, figure
        assert {value.text for value in shown.values} == {archived.text_of(value) for value in shown.values}
        assert {value.file for value in shown.values} == {request.file for request in explained.requests}
        assert {run.id for run in explained.runs} >= {version.run for version in explained.versions}
        if shown.value:
            sums[adds_up(shown)] += 1
            assert adds_up(shown) is not False, figure
    assert sums[True] > len(figures) / 2
    assert any("@acme-robotics.example" in str(figure.rows) for figure in followed)
    with recomputed(explainer, followed) as again:
        assert [figure for figure in followed if value_of(again, figure) != figure.value] == []


def explain_everything(
    project: Project, settings: Settings, *of: str, where: str = "true", most: int | None = None
) -> Iterator[ShownFigure]:
    """Explain a figure of every row of tables and views (or some), and compute all of them again."""
    publish(project.warehouse)
    archived = Archived()
    with project.warehouse.reading() as database:
        explainer, figures = Explainer(settings, database), list[Figure]()
        for relation in of:
            for row in fetch(database, f"select * from {relation} where {where} order by all")[:most]:
                names = [each.name for each in measures_of(relation) if row.get(each.name)]
                figures += [Figure(relation, name, [row]) for name in names if name != "usd_rate"][:1]
        assert {figure.relation for figure in figures} == {*of}
        for figure in figures:
            explained = explainer.explain([figure])
            [shown] = explained.figures
            assert not explained.missing
            assert shown.values
            assert {value.text for value in shown.values} == {archived.text_of(value) for value in shown.values}
            assert adds_up(shown) is not False, figure
            yield shown
        with recomputed(explainer, figures) as again:
            assert [figure for figure in figures if value_of(again, figure) != figure.value] == []


def test_answers_in_several_pages_windows_and_shapes_are_explained(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.control("POST", "shape", {"codex_usage": "illustrative"})
    sandbox.faults(
        {"route": "GET /openai/v1/organization/costs", "fault": "short_page", "size": 1},
        {"route": "GET /chatgpt/v1/analytics/codex/*", "fault": "short_page", "size": 5},
    )
    with hold_project(sandbox, tmp_path) as project:
        assert project.fetch("openai", FLOOR, "costs", "costs/daily_costs").success
        assert project.fetch("chatgpt", last_days(2), "codex_usage", "entities/codex_usage_record").success
        settings = settings_in(sandbox, tmp_path, {})
        shown = [*explain_everything(project, settings, "costs.by_day", "port_entities.codex_usage_record")]
    values = [value for figure in shown for value in figure.values]
    assert {value.page for value in values} >= {1, 2, 3}
    assert len({value.file for value in values if value.table == "openai.costs"}) == 2


def test_restated_totals_of_cuts_that_overlap_are_followed_to_the_cut_that_counts(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The users and the workspace of a day are the same use twice; some days have the workspace alone."""
    days = last_days(24)
    with hold_project(sandbox, tmp_path) as project:
        assert project.fetch("chatgpt", days, "codex_usage").success
        sandbox.restate("chatgpt", *days)
        assert project.fetch("chatgpt", days, "codex_usage").success
        cuts = "select usage_date, list_sort(list_distinct(list(cut))) as cuts from chatgpt.codex_usage group by all"
        last = {
            tuple(row["cuts"]): row["usage_date"] for row in project.warehouse.read(f"{cuts} order by 1").to_pylist()
        }
        chosen_days = [last[("workspace",)], last["client", "model", "user", "workspace"]]
        where = f"total = 'turns' and usage_date in ({', '.join(literal(day) for day in chosen_days)})"
        settings = settings_in(sandbox, tmp_path, {})
        shown = [*explain_everything(project, settings, RESTATEMENTS, where=where)]
    assert [adds_up(figure) for figure in shown] == [True, True]


def test_people_who_are_known_by_their_hash_are_explained(sandbox: Sandbox, tmp_path: Path) -> None:
    variables = {"USAGE_PEOPLE": "hash", "USAGE_HASH_KEY": "key"}
    assets = ("claude_code", "claude_code/daily_costs", "entities/claude_code_analytics")
    with hold_project(sandbox, tmp_path, variables) as project:
        assert project.fetch("anthropic", last_days(1), *assets).success
        settings = settings_in(sandbox, tmp_path, variables)
        relations = ("costs.by_person", "port_entities.claude_code_analytics")
        people = {str(row) for shown in explain_everything(project, settings, *relations, most=1) for row in shown.rows}
    assert len(people) == 2
    assert not any("@acme-robotics.example" in row for row in people)
