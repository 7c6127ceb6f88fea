"""From a figure to the archived bytes, and which days are due: `usage-assets explain` and the ledger."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import msgspec
from mcp_types import CallToolResult

from usage_assets.config.settings import Settings
from usage_assets.core.days import spans
from usage_assets.warehouse.errors import WarehouseError
from usage_assets_assistant.explain.chain import Explainer, Explanation, ShownFigure
from usage_assets_assistant.explain.command import check
from usage_assets_assistant.explain.figures import Figure, Start, figures_of
from usage_assets_assistant.mcp.answers import Answer, Page, Row, about, cleaned, paged, values
from usage_assets_assistant.mcp.freshness import freshness
from usage_assets_assistant.mcp.questions import named_as_parameters
from usage_assets_assistant.mcp.sight import may_name
from usage_assets_assistant.mcp.store import Opened

DUE = """
select
  connection,
  table_name,
  state,
  because,
  count(distinct usage_date) as days,
  list(distinct usage_date order by usage_date)
from ledger.due_days
where state not in ('unsettled', 'unpushed')
group by all
order by all
"""


@paged
def explain(
    opened: Opened,
    page: Page,
    identifier: str | None,
    table: str | None,
    column: str | None,
    options: Mapping[str, str],
    where: str | None,
    *,
    verify: bool,
    blueprint: str | None = None,
) -> CallToolResult:
    """Answer with the archived values that are in a figure. Raises WarehouseError, SettingsError."""
    if bool(identifier) == bool(table) or (identifier and (options or where)) or (blueprint and not identifier):
        raise WarehouseError("explain: name a table and its rows, or the identifier of an entity in Port alone")
    if len({"start", "end"} & options.keys()) == 1:
        raise WarehouseError("explain: name first and last, both YYYY-MM-DD")
    start = Start(identifier, blueprint, table, [column] if column else [], options, _pairs(where))
    _refuse_unseen(opened, start)
    settings = Settings.load()
    with opened.stored() as database:
        figures = _figures(opened, database, start, settings)
        explainer = Explainer(settings, database)
        explanation = explainer.explain(figures)
        if verify:
            check(explainer, explanation, figures)
    answer = Answer(
        sentence=_sentence(explanation),
        totals=[_figure(opened, figure) for figure in explanation.figures],
        freshness=freshness(opened, start.options.get("connection")),
        notes=[f"{len(explanation.requests)} archived responses; {len(explanation.versions)} versions of days"],
    )
    answer.notes += [opened.sight.text(cleaned(line) or "") for line in explanation.missing]
    return page.put(answer, [*_values(opened, explanation), *_arithmetic(explanation)])


def _figures(opened: Opened, database: duckdb.DuckDBPyConnection, start: Start, settings: Settings) -> Sequence[Figure]:
    """Return the figures that are meant. Why there is none may name people: this part of the reason is left out."""
    try:
        with named_as_parameters():
            return figures_of(database, start, settings.forgotten())
    except WarehouseError as error:
        reason = str(error)
        if opened.sight.people != "names":
            reason = opened.sight.text(reason.partition(": they differ in")[0])
        raise WarehouseError(reason) from None


def _pairs(where: str | None) -> list[tuple[str, str]]:
    """Return columns and their values, as in ``cost_basis=billed; currency=EUR``. Raises WarehouseError."""
    pairs = [each.strip().partition("=") for each in (where or "").split(";") if each.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise WarehouseError(f"where {where}: must look like cost_basis=billed; currency=EUR")
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _refuse_unseen(opened: Opened, start: Start) -> None:
    """Raise WarehouseError for a figure that may contain what the assistant does not see."""
    stated = {**start.options, **dict(start.where)}
    for column, names in (("team", opened.sight.teams), ("connection", opened.sight.connections)):
        if names and stated.get(column) not in names:
            raise WarehouseError(f"explain: name a {column} of {', '.join(names)}, and a table that has the column")
    if opened.sight.people != "names" and (start.identifier or not all(may_name(column, stated) for column in stated)):
        raise WarehouseError(
            "explain: people are hidden from this assistant (--people), and this may name one: name a table, and "
            "columns without people"
        )


def _sentence(explanation: Explanation) -> str:
    figures = "; ".join(
        f"{figure.relation} {figure.column} is {cleaned(figure.value) or 'unknown'} {figure.unit or ''}".rstrip()
        for figure in explanation.figures
    )
    count = sum(len(figure.values) for figure in explanation.figures)
    missing = f", and {len(explanation.missing)} links are missing (notes)" if explanation.missing else ""
    return f"{figures}: from {count} values of archived responses{missing}."


def _figure(opened: Opened, figure: ShownFigure) -> Row:
    known: dict[str, Decimal | int | None] = {"value": figure.value}
    if figure.recomputed is not msgspec.UNSET:
        known["from_archive_alone"] = figure.recomputed
    names: Mapping[str, object] = figure.rows[0] if len(figure.rows) == 1 else {}
    of = {f"of_{name}": value for name, value in opened.sight.names_of(names).items()}
    row = about(table=figure.relation, column=figure.column, rows=len(figure.rows), **of)
    return Row(about=row, values=values(**known), unit=figure.unit)


def _values(opened: Opened, explanation: Explanation) -> list[Row]:
    return [
        Row(
            about=about(
                table=each.table,
                day=each.day,
                path=opened.sight.text(each.path),
                page=each.page,
                file=Path(each.file).name,
                provider_file=each.read_at or None,
            ),
            values={"as_sent": cleaned(each.text)},
        )
        for figure in explanation.figures
        for each in figure.values
    ]


def _arithmetic(explanation: Explanation) -> list[Row]:
    return [
        Row(about=about(table=step.relation, arithmetic=line)) for step in explanation.steps for line in step.arithmetic
    ]


def due(opened: Opened, connection: str | None, limit: int, cursor: str | None) -> CallToolResult:
    """Answer with the days that are missing or must be computed again, and how fresh each connection is."""
    with opened.stored() as database:
        found = database.execute(DUE).fetchall()
    rows = [
        Row(
            about=about(
                connection=name,
                table=table,
                state=state,
                because=because,
                first_day=found_days[0],
                last_day=found_days[-1],
                on=spans(found_days),
            ),
            values=values(days=days),
            unit="days",
        )
        for name, table, state, because, days, found_days in found
        if opened.sight.sees_connection(name) and connection in (None, name)
    ]
    states = freshness(opened, connection)
    newest = max((each.newest_day for each in states if each.newest_day), default=None)
    sentence = f"{len(rows)} tables have days that are due or missing; the newest stored day is {newest}."
    page = Page(["due", connection, found], opened.state, limit, cursor)  # what is due also changes with time
    return page.put(
        Answer(sentence=sentence if rows else f"Nothing is due; the newest stored day is {newest}.", freshness=states),
        rows,
    )
