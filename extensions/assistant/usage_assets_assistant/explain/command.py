"""`usage-assets explain`: what is asked, and how the answer is printed. How a figure is followed: explain/."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from usage_assets.cli.access import complain, warehouse_now
from usage_assets.config.settings import Settings
from usage_assets.core.errors import one_line
from usage_assets.core.money import plain
from usage_assets.models.stated import difference
from usage_assets.warehouse.readable import without_costs
from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.explain.chain import (
    Explainer,
    Explanation,
    ShownFigure,
    ShownPrice,
    ShownRequest,
    ShownVersion,
)
from usage_assets_assistant.explain.computed import ShownComputation
from usage_assets_assistant.explain.figures import COMPARED, COMPUTED, DATED, OPTIONS, Figure, Start, day_of, figures_of
from usage_assets_assistant.explain.lineage import MissingLinkError
from usage_assets_assistant.explain.recompute import recomputed, value_of

MOST_LINES = 20
"""Rows, values and days of one kind that the text shows; JSON has all."""
HELP = {
    "connection": "Connection.",
    "day": "Day (UTC), YYYY-MM-DD.",
    "start": "First day of a range, YYYY-MM-DD.",
    "end": "Last day, included.",
    "month": "Month, YYYY-MM.",
    "model": "Model.",
    "project": "Id of a project.",
    "workspace": "Id of a workspace.",
    "user": "Id of a person, as it is stored.",
    "api-key": "Id of an API key.",
    "team": "Team.",
}


def row_options(command: Callable[..., int]) -> Callable[..., int]:
    for name in reversed([*OPTIONS]):
        command = click.option(f"--{name}", metavar="TEXT", help=HELP[name])(command)
    return command


@click.command()
@click.argument("identifier", required=False)
@click.option("--blueprint", help="Blueprint of the entity, if several have one of this name.")
@click.option("--table", help="Table or view: costs.by_team, costs.focus, or the raw table of an endpoint.")
@row_options
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Any other column. Empty value: null or empty.")
@click.option("--column", "columns", multiple=True, help="Figure to explain; repeatable. Without it: all of one row.")
@click.option("--input", "of_input", metavar="DAY", help="Follow the day's value in a forecast, anomaly or budget.")
@click.option("--verify", is_flag=True, help="Compute the figures again from the archived answers alone, and compare.")
@click.option("--sql", is_flag=True, help="Also print the queries that computed the rows.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def explain(
    identifier: str | None,
    blueprint: str | None,
    table: str | None,
    where: Sequence[str],
    columns: Sequence[str],
    of_input: str | None,
    *,
    verify: bool,
    sql: bool,
    as_json: bool,
    **options: str | None,
) -> int:
    """IDENTIFIER names an entity in Port. To explain rows of a table, use --table and its columns."""
    if bool(identifier) == bool(table):
        raise click.UsageError("give the identifier of an entity in Port, or a --table")
    chosen = {name.replace("_", "-"): text for name, text in options.items() if text is not None}
    pairs = [_pair(text) for text in where]
    if identifier and (chosen or pairs):
        raise click.UsageError("an identifier says which entity is meant: the other options are about a --table")
    if len(chosen.keys() & COMPARED.keys()) == 1:
        raise click.UsageError("name --start and --end")
    for name in chosen.keys() & DATED:
        day_of(name, chosen[name])  # before anything is loaded
    followed = day_of("input", of_input) if of_input else None
    settings = Settings.load()
    start = Start(identifier, blueprint, table, columns, chosen, pairs)
    with warehouse_now(settings).reading() as database:
        if refusal := without_costs(database):
            raise refusal
        differs = difference(database, settings)
        figures = figures_of(database, start, settings.forgotten())
        explainer = Explainer(settings, database)
        if followed:
            figures = inputs_of(explainer, figures, followed)
        explanation = explainer.explain(figures)
        if verify:
            check(explainer, explanation, figures)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(explanation)).decode())
    else:
        for line in text_of(explanation, with_queries=sql):
            click.echo(line)
    for missing in explanation.missing:
        complain(f"usage-assets: {one_line(missing)}")
    if differs:
        complain(differs)
    return 1 if explanation.missing else 0


def inputs_of(explainer: Explainer, figures: Sequence[Figure], day: date) -> Sequence[Figure]:
    """Return what figures were computed from, of a day. Raises WarehouseError if they were not, or from nothing."""
    found: dict[tuple[str, str], Figure] = {}
    for figure in figures:
        if figure.relation not in COMPUTED:
            raise WarehouseError(
                f"{figure.relation} is not computed from days: --input is about forecasts and the like"
            )
        found |= {(each.relation, each.column): each for each in explainer.computations.inputs(figure, [day])}
    if not found:
        raise WarehouseError(f"{figures[0].relation}: no row of {day} is in it: the day counted as 0")
    return [*found.values()]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--where {text}: must look like COLUMN=VALUE")
    return name, value


def check(explainer: Explainer, explanation: Explanation, figures: Sequence[Figure]) -> None:
    """Compute the figures again, and note each that is another. Of a computed one, compare what it is computed from."""
    try:
        parts = [explainer.parts_of(figure) for figure in figures]
        with recomputed(explainer, [part for of_figure in parts for part in of_figure]) as database:
            for shown, figure, of_figure in zip(explanation.figures, figures, parts, strict=True):
                shown.recomputed = figure.value
                for part in of_figure:
                    value = value_of(database, part)
                    if part is figure:
                        shown.recomputed = value
                    if value != part.value:
                        explanation.missing.append(
                            f"{part.relation}: {part.column} is {_text(part.value)}, and the archived answers give "
                            f"{_text(value)}"
                        )
    except MissingLinkError as error:
        if str(error) not in explanation.missing:
            explanation.missing.append(str(error))


def text_of(explanation: Explanation, *, with_queries: bool) -> Iterator[str]:
    """Yield the lines that a person reads."""
    for figure in explanation.figures:
        yield from _figure(figure)
    yield ""
    yield "rows"
    for step in explanation.steps:
        yield f"  {step.relation}: {len(step.rows):,}"
        yield from _some("    ", map(printable, step.arithmetic))
    yield from _section("requests", map(_request, explanation.requests))
    yield from _section(
        "versions",
        map(_version, explanation.versions),
    )
    if explanation.list_prices:
        yield from _section("list prices, in dollars per million tokens", map(_price, explanation.list_prices))
    yield from _section("restatements", map(_restatement, explanation.restatements), nothing="none of these days")
    yield from _section("runs", (run.link for run in explanation.runs))
    yield ""
    yield "SQL"
    for step in explanation.steps:
        yield _query(step.sql)
        if with_queries and step.query:
            yield _query(step.query)


def _figure(figure: ShownFigure) -> Iterator[str]:
    yield f"{figure.relation} {figure.column}: {_text(figure.value)} {figure.unit or ''}".rstrip()
    if len(figure.rows) > 1:
        yield f"  sum of {len(figure.rows):,} rows"
    else:
        yield "  " + ", ".join(f"{name} {_text(value)}" for name, value in figure.rows[0].items() if value is not None)
    if figure.recomputed is not msgspec.UNSET:
        yield f"  from the archived answers alone: {_text(figure.recomputed)}"
    yield from _some("  ", (f"{each.day}: {_text(each.value)}" for each in figure.days))
    if figure.computation:
        yield from _computation(figure.computation)
    yield from _some(
        "  ",
        (
            f"{each.path} = {each.text}  {each.table} {each.day}, page {each.page} of {Path(each.file).name}"
            + (f", from {printable(each.read_at)}" if each.read_at else "")
            for each in figure.values
        ),
    )


def _computation(computed: ShownComputation) -> Iterator[str]:
    yield f"  {computed.method}"
    at = f"{computed.computed_at:%Y-%m-%d %H:%M} UTC"
    yield f"  computed at {at}; again now by {computed.code}: {_text(computed.again)}"
    if computed.inputs:
        yield f"  from {len(computed.inputs):,} days; --input DAY explains one of them"
    days = (f"{each.day}: {_text(each.value)} {each.unit}, {each.state}" for each in computed.inputs)
    yield from _some("  ", days)


def _request(request: ShownRequest) -> str:
    asked = "&".join(f"{name}={value}" for name, value in request.parameters)
    return printable(
        f"{request.method} {request.path}?{asked} ({request.connection}, fetched "
        f"{request.fetched_at:%Y-%m-%d %H:%M} UTC, pages {request.pages}): {request.file}"
    )


def _version(version: ShownVersion) -> str:
    of = f"{version.table}{f' ({version.slice})' if version.slice else ''}, {version.connection} {version.day}"
    state = f", {version.state}" if version.state else ""
    inputs = "".join(f", {name} {value}" for name, value in (version.inputs or {}).items())
    return (
        f"{of}: version {version.version}{state}, written {version.written_at:%Y-%m-%d %H:%M} UTC, "
        f"content found by run {version.found_by}{inputs and f'; inputs: {inputs[2:]}'}"
    )


def _price(price: ShownPrice) -> str:
    kinds = (f"{kind.replace('_', ' ')} {plain(each)}" for kind, each in price.per_million.items())
    return f"{price.model}, {price.tier}: {', '.join(kinds)}"


def _restatement(row: Mapping[str, Any]) -> str:
    figures = f" {_text(row['before'])} -> {_text(row['after'])} {row['unit']}" if row["total"] else ""
    what = f"{row['change']} {row['total'] or ''}".rstrip()
    found = f"{row['found_at']:%Y-%m-%d %H:%M} UTC"
    return f"{row['table_name']} {row['connection']} {row['usage_date']}: {what}{figures} ({row['cause']}, {found})"


def _section(name: str, lines: Iterable[str], *, nothing: str = "none") -> Iterator[str]:
    yield ""
    yield name
    shown = list(lines)
    yield from _some("  ", map(printable, shown))
    if not shown:
        yield f"  {nothing}"


def _some(indent: str, lines: Iterable[str]) -> Iterator[str]:
    shown = list(lines)
    yield from (f"{indent}{line}" for line in shown[:MOST_LINES])
    if len(shown) > MOST_LINES:
        yield f"{indent}and {len(shown) - MOST_LINES:,} more (--json)"


def _query(sql: str) -> str:
    return f"usage-assets query {shlex.quote(sql)}"


def _text(value: object) -> str:
    """Return a value as it is shown; names from providers may hold anything."""
    if value is None:
        return "unknown"
    return plain(value) if isinstance(value, Decimal) else printable(str(value))


def printable(text: str) -> str:
    """Return a text that controls no terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
