"""The charts of the report, in Vega-Lite. Charts of costs read the page's facts and follow its filters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import pyarrow as pa

from usage_assets.core.days import DAY as ONE_DAY
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
UNFILTERED = " && ".join(f"!only_{name}" for name in FILTERED)
DAYS_CHOSEN = ("first", "last")
FACTS = alt.NamedData(name="facts")
GRAY, RED = "#64748b", "#d33a2f"
MILLISECONDS_OF_DAY = 86_400_000
BAR_HEIGHT = 22
LABEL_PIXELS = 150
AMOUNT_PIXELS = 80
USD, DAY = "$,.2f", "%a %-d %b %Y"
DAYS = alt.Axis(format="%-d %b", labelOverlap=True, labelSeparation=8, labelFlush=30, grid=False)
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
    charts |= {f"by_{dimension}": [_bars(report, dimension)] for dimension in DIMENSIONS}
    if "trend" in report.figures and report.figures["trend"].rows.num_rows > 1:
        charts["trend"] = [_months(report)]
    for name in report.activity:
        figure = report.figures[name]
        if figure.rows.num_rows and figure.rows.column_names[0] == "day":
            charts[name] = [*_activity(figure)]
    return {
        name: [{**chart.to_dict(), "autosize": AUTOSIZE, "config": CONFIG} for chart in each]
        for name, each in charts.items()
    }


def _chosen(report: Report) -> Sequence[alt.Parameter]:
    """Return the parameters that the page sets: the days, and the chosen label of each dimension, or an empty text."""
    days = [alt.param(name=name, value=str(getattr(report.period, name))) for name in DAYS_CHOSEN]
    return [*days, *(alt.param(name=f"only_{name}", value="") for name in FILTERED)]


def _kept(but: str = "") -> str:
    return " && ".join(f"(!only_{name} || datum.{name} === only_{name})" for name in FILTERED if name != but)


def colors_of(report: Report) -> Mapping[str, str]:
    """Return the color of each provider: the same in each chart and report. Those that only a bill names are last."""
    all_figures = [each.figures for each in report.ranges.values()]
    tables = [figures[name].rows for figures in all_figures for name in ("kinds", "trend") if name in figures]
    named = {name for each in (report.facts.rows, *tables) for name in each["provider"].to_pylist()}
    order = [*PROVIDERS, *sorted(named - PROVIDERS.keys())]
    return {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(order) if name in named}


def _color(report: Report) -> alt.Color:
    colors = colors_of(report)
    return alt.Color("provider:N", scale=alt.Scale(domain=[*map(service, colors)], range=[*colors.values()]))


def _days(report: Report) -> alt.LayerChart:
    """Return what is billed a day by provider, the days that are chosen, the forecast and the budget of everything."""
    x = alt.X("utcyearmonthdate(day):T", title=None, axis=DAYS)
    bars = (
        alt.Chart(FACTS)
        .transform_filter(_kept())
        .mark_bar(cursor="pointer")
        .encode(
            x=x,
            y=alt.Y("sum(usd):Q", title=None, axis=alt.Axis(format="$,.0f", tickCount=4)),
            color=_color(report).legend(None),
            opacity=alt.Opacity(
                "state:O", scale=alt.Scale(domain=["final", "may change"], range=[1, 0.65]), legend=None
            ),
            tooltip=[
                alt.Tooltip("utcyearmonthdate(day):T", title="Day", format=DAY),
                alt.Tooltip("provider:N", title="Provider"),
                alt.Tooltip("sum(usd):Q", title="Billed", format=USD),
                alt.Tooltip("state:N", title="State"),
            ],
        )
    )
    chart: alt.LayerChart = alt.LayerChart(
        layer=[_marked(), bars, *_ahead(report, x), *_planned(report), *_noted(report)],
        width="container",
        height=216,
        description="Billed per day, valued in USD, by provider, with the forecast and the budget per day",
    ).add_params(*_chosen(report))
    return chart


def _marked() -> alt.Chart:
    """Return the days that are chosen, as a ground behind the bars."""
    chart: alt.Chart = (
        alt.Chart(alt.InlineData([{}]))
        .transform_calculate(day="toDate(first)", until=f"toDate(last) + {MILLISECONDS_OF_DAY}")
        .mark_rect(color=GRAY, opacity=0.12)
        .encode(x="day:T", x2="until:T")
    )
    return chart


def _ahead(report: Report, x: alt.X) -> Iterator[alt.Chart]:
    """Yield the forecast of everything on each day to come: its range as an area, and its mean as a line."""
    rows = [
        {"day": str(row["day"])} | {name: float(row[f"usd_{name}"]) for name in ("expected", "low", "high")}
        for row in (report.figures["forecast_days"].rows.to_pylist() if "forecast_days" in report.figures else ())
        if row["day"] > report.period.last and row["usd_expected"] is not None
    ]
    if not rows:
        return
    tooltip = [alt.Tooltip("utcyearmonthdate(day):T", title="Day", format=DAY)]
    tooltip += [alt.Tooltip(f"{name}:Q", title=name.capitalize(), format=USD) for name in ("expected", "low", "high")]
    base = alt.Chart(alt.InlineData(rows)).encode(x=x, tooltip=tooltip)
    yield base.mark_area(opacity=_unless_filtered(0.35), color=GRAY).encode(y="low:Q", y2="high:Q")
    yield base.mark_line(opacity=_unless_filtered(1), color=GRAY).encode(y="expected:Q")


def _planned(report: Report) -> Iterator[alt.Chart]:
    """Yield the budgets of everything in USD: the amount of each, shared equally by its days."""
    first = min(each.period.first for each in report.ranges.values())
    found = {
        (row["budget"], row["first_day"]): row
        for each in report.ranges.values()
        for row in (each.figures["budgets"].rows.to_pylist() if "budgets" in each.figures else ())
        if row["scope"] == "everything" and row["unit"] == "USD"
    }
    rows = [
        {
            "day": str(max(row["first_day"], first)),
            "until": str(row["last_day"] + ONE_DAY),
            "usd": float(row["amount"] / ((row["last_day"] - row["first_day"]).days + 1)),
            "budget": row["budget"],
        }
        for row in found.values()
    ]
    if not rows:
        return
    tooltip = [alt.Tooltip("budget:N", title="Budget"), alt.Tooltip("usd:Q", title="A day", format=USD)]
    yield (
        alt.Chart(alt.InlineData(rows))
        .mark_rule(opacity=_unless_filtered(1), color=RED, strokeDash=[6, 3], strokeWidth=2)
        .encode(x="day:T", x2="until:T", y="usd:Q", tooltip=tooltip)
    )


def _noted(report: Report) -> Iterator[alt.Chart]:
    """Yield the notes of the connections file: their days as a line above the bars, and their names below it."""
    first = min(each.period.first for each in report.ranges.values())
    found = {
        (row["name"], row["first_day"]): row
        for each in report.ranges.values()
        for row in (each.figures["notes"].rows.to_pylist() if "notes" in each.figures else ())
    }
    rows = [
        {
            "day": str(max(row["first_day"], first)),
            "until": str(min(row["last_day"] or report.period.last, report.period.last) + ONE_DAY),
            **{name: row[name] for name in ("name", "scope", "text")},
        }
        for row in found.values()
    ]
    if not rows:
        return
    tooltip = [alt.Tooltip(f"{name}:N", title=name.capitalize()) for name in ("name", "scope", "text")]
    base = alt.Chart(alt.InlineData(rows)).encode(x="day:T", tooltip=tooltip)
    yield base.mark_rule(strokeWidth=4, color=GRAY).encode(x2="until:T", y=alt.value(2))
    yield base.mark_text(align="left", baseline="top", limit=LABEL_PIXELS).encode(text="name:N", y=alt.value(6))


def _unless_filtered(opacity: float) -> alt.ExprRef:
    """Return an opacity that what is about everything has while nothing is filtered."""
    return alt.ExprRef(f"{UNFILTERED} ? {opacity} : 0")


def _bars(report: Report, dimension: str) -> alt.LayerChart:
    """Return a bar for each value of a dimension, and its amount at the right edge."""
    field = f"{dimension}:N"
    bars = (
        alt.Chart(FACTS)
        .transform_filter(f"datum.day >= first && datum.day <= last && {_kept(dimension)}")
        .transform_aggregate(usd="sum(usd)", groupby=[dimension])
        .transform_calculate(place=f"datum.{dimension} === '{report.facts.others[dimension]}' ? -1e15 : datum.usd")
        .mark_bar(cursor="pointer")
        .encode(
            x=alt.X("usd:Q", axis=None, scale=alt.Scale(range=[0, alt.ExprRef(f"width - {AMOUNT_PIXELS}")])),
            y=alt.Y(field, title=None, sort=alt.EncodingSortField(field="place", op="max", order="descending")),
            color=alt.value(PALETTE[0]),
            opacity=alt.condition(
                f"!only_{dimension} || datum.{dimension} === only_{dimension}", alt.value(1), alt.value(0.35)
            ),
            tooltip=[
                alt.Tooltip(field, title=in_words(dimension)),
                alt.Tooltip("usd:Q", title="Billed", format=USD),
            ],
        )
    )
    amounts = bars.mark_text(align="right", fontSize=12).encode(
        x=alt.value(alt.ExprRef("width")),
        text=alt.Text("usd:Q", format=USD),
        color=alt.Undefined,
        opacity=alt.Undefined,
    )
    chart: alt.LayerChart = alt.LayerChart(
        layer=[bars, amounts],
        width="container",
        height=alt.Step(BAR_HEIGHT),
        description=f"Billed, valued in USD, by {in_words(dimension)}, the largest first",
    ).add_params(*_chosen(report))
    return chart


def _months(report: Report) -> alt.Chart:
    figure = report.figures["trend"]
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
            color=_color(report),
            tooltip=[
                alt.Tooltip("utcyearmonth(month):T", title="Month", format="%B %Y"),
                alt.Tooltip("provider:N", title="Provider"),
                alt.Tooltip("usd:Q", title="Billed", format=USD),
            ],
        )
    )
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
