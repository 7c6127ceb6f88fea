"""The charts of the report, in Vega-Lite. Charts of costs read the page's facts and follow its filters."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import pyarrow as pa

from usage_assets.providers import PROVIDERS
from usage_assets_report.dimensions import DIMENSIONS
from usage_assets_report.figures import Figure, Report, in_words
from usage_assets_report.names import service

PALETTE = (
    *("#3b6fd4", "#d9730d", "#2f8f5b", "#a3489f", "#bc4b3f", "#64748b"),
    *("#0e8fa6", "#a88400", "#d45d94", "#8c6a4f", "#7a5cd6", "#5f8f1f"),
)
"""A color for each provider, with contrast on white and on black. Color-blind people can tell the first six apart."""
FILTERED = ("provider", *DIMENSIONS)
FACTS = alt.NamedData(name="facts")
BAR_HEIGHT = 22
LABEL_PIXELS = 150
USD, DAY = "$,.2f", "%a %d %b %Y"
DAYS = alt.Axis(format="%d %b", labelOverlap=True, grid=False)
AUTOSIZE = {"type": "fit-x", "contains": "padding"}
CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": LABEL_PIXELS, "domain": False, "ticks": False},
    "legend": {"labelFontSize": 12, "orient": "top", "title": None},
    "view": {"stroke": None},
    "range": {"category": list(PALETTE)},
}
"""Colors of text and lines are the page's."""


def specifications(report: Report) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return the charts of each figure that has some, as Vega-Lite takes them."""
    charts: dict[str, list[alt.Chart | alt.LayerChart]] = {"by_day": [_days(report)]}
    charts |= {f"by_{dimension}": [_bars(dimension)] for dimension in DIMENSIONS}
    trend = report.figures.get("trend")
    if trend and trend.rows.num_rows > 1:
        charts["trend"] = [_trend(trend)]
    ahead = report.figures.get("forecast_days")
    if ahead and ahead.rows.num_rows:
        charts["forecast_days"] = [_ahead(ahead)]
    for name in report.activity:
        figure = report.figures[name]
        if figure.rows.num_rows and figure.rows.column_names[0] == "day":
            charts[name] = [*_activity(figure)]
    return {
        name: [{**chart.to_dict(), "autosize": AUTOSIZE, "config": CONFIG} for chart in each]
        for name, each in charts.items()
    }


def _filters() -> Sequence[alt.Parameter]:
    """Return the parameters that the page sets: the chosen label of each dimension, or an empty text."""
    return [alt.param(name=f"only_{name}", value="") for name in FILTERED]


def _kept(but: str = "") -> str:
    return " && ".join(f"(!only_{name} || datum.{name} === only_{name})" for name in FILTERED if name != but)


def _color(providers: Iterable[str]) -> alt.Color:
    """Return the color of each provider: the same in each chart and report."""
    order = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(PROVIDERS)}
    shown = sorted({*providers}, key=lambda name: ([*order].index(name) if name in order else len(order), name))
    colors = [order.get(name, PALETTE[-1]) for name in shown]
    return alt.Color("provider:N", scale=alt.Scale(domain=[*map(service, shown)], range=colors))


def _days(report: Report) -> alt.Chart:
    days = report.figures["by_day"].rows.to_pylist()
    provisional = json.dumps([f"{row['day']} {service(row['provider'])}" for row in days if row["state"] != "final"])
    name = "utcFormat(datum.day, '%Y-%m-%d') + ' ' + datum.provider"
    chart: alt.Chart = (
        alt.Chart(FACTS, width="container", height=240, description="Billed per day, valued in USD, by provider")
        .transform_filter(_kept())
        .transform_calculate(state=f"indexof({provisional}, {name}) < 0 ? 'final' : 'provisional'")
        .mark_bar(cursor="pointer")
        .encode(
            x=alt.X("utcyearmonthdate(day):T", title=None, axis=DAYS),
            y=alt.Y("sum(usd):Q", title=None, axis=alt.Axis(format="$,.0f", tickCount=5)),
            color=_color(row["provider"] for row in days),
            opacity=alt.Opacity(
                "state:O", scale=alt.Scale(domain=["final", "provisional"], range=[1, 0.65]), legend=None
            ),
            tooltip=[
                alt.Tooltip("utcyearmonthdate(day):T", title="Day", format=DAY),
                alt.Tooltip("provider:N", title="Provider"),
                alt.Tooltip("sum(usd):Q", title="Billed", format=USD),
                alt.Tooltip("state:N", title="State"),
            ],
        )
        .add_params(*_filters())
    )
    return chart


def _bars(dimension: str) -> alt.Chart:
    field = f"{dimension}:N"
    chart: alt.Chart = (
        alt.Chart(
            FACTS,
            width="container",
            height=alt.Step(BAR_HEIGHT),
            description=f"Billed, valued in USD, by {in_words(dimension)}, the largest first",
        )
        .transform_filter(_kept(dimension))
        .transform_aggregate(usd="sum(usd)", groupby=[dimension])
        .mark_bar(cursor="pointer")
        .encode(
            x=alt.X("usd:Q", title=None, axis=alt.Axis(format="$,.0f", tickCount=4)),
            y=alt.Y(field, title=None, sort="-x"),
            color=alt.value(PALETTE[0]),
            opacity=alt.condition(
                f"!only_{dimension} || datum.{dimension} === only_{dimension}", alt.value(1), alt.value(0.35)
            ),
            tooltip=[
                alt.Tooltip(field, title=in_words(dimension)),
                alt.Tooltip("usd:Q", title="Billed", format=USD),
            ],
        )
        .add_params(*_filters())
    )
    return chart


def _trend(figure: Figure) -> alt.Chart:
    rows = [
        {"month": str(row["month"]), "provider": service(row["provider"]), "usd": float(row["usd"])}
        for row in figure.rows.to_pylist()
    ]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(rows), width="container", height=180, description=figure.title)
        .mark_bar()
        .encode(
            x=alt.X(
                "utcyearmonth(month):O",
                title=None,
                axis=alt.Axis(format="%b %y", labelAngle=0, labelOverlap=True, grid=False),
            ),
            y=alt.Y("usd:Q", title=None, axis=alt.Axis(format="$,.0f", tickCount=4)),
            color=_color(figure.rows["provider"].to_pylist()),
            tooltip=[
                alt.Tooltip("utcyearmonth(month):T", title="Month", format="%B %Y"),
                alt.Tooltip("provider:N", title="Provider"),
                alt.Tooltip("usd:Q", title="Billed", format=USD),
            ],
        )
    )
    return chart


def _ahead(figure: Figure) -> alt.LayerChart:
    """Return the forecast of each day as a line, with its range as an area."""
    rows = [
        {"day": str(row["day"])} | {name: float(row[f"usd_{name}"]) for name in ("expected", "low", "high")}
        for row in figure.rows.to_pylist()
    ]
    days = alt.X("utcyearmonthdate(day):T", title=None, axis=DAYS)
    tooltip = [alt.Tooltip("utcyearmonthdate(day):T", title="Day", format=DAY)]
    tooltip += [alt.Tooltip(f"{name}:Q", title=name.capitalize(), format=USD) for name in ("expected", "low", "high")]
    base = alt.Chart(alt.InlineData(rows), width="container", height=180, description=figure.title)
    dollars = alt.Axis(format="$,.0f", tickCount=4)
    band = base.mark_area(opacity=0.3, color=PALETTE[0]).encode(
        x=days, y=alt.Y("low:Q", title=None, axis=dollars), y2="high:Q", tooltip=tooltip
    )
    chart: alt.LayerChart = band + base.mark_line(color=PALETTE[0]).encode(x=days, y="expected:Q", tooltip=tooltip)
    return chart


def _activity(figure: Figure) -> Iterator[alt.Chart]:
    """Yield a small bar chart of the days for each column that counts something: all rows of a day together."""
    rows = figure.rows.to_pylist()
    for measure in (field.name for field in figure.rows.schema if field.name != "day" and field.type != pa.string()):
        name = in_words(measure)
        values = [{"day": str(row["day"]), "value": float(row[measure])} for row in rows if row[measure] is not None]
        if not values:
            continue
        yield (
            alt.Chart(
                alt.InlineData(values), width="container", height=70, title=name, description=f"{figure.title}: {name}"
            )
            .mark_bar(color=PALETTE[2])
            .encode(
                x=alt.X("utcyearmonthdate(day):T", title=None, axis=DAYS),
                y=alt.Y("sum(value):Q", title=None, axis=alt.Axis(tickCount=2, format="~s")),
                tooltip=[
                    alt.Tooltip("utcyearmonthdate(day):T", title="Day", format=DAY),
                    alt.Tooltip("sum(value):Q", title=name.capitalize(), format=",.10~f"),
                ],
            )
        )
