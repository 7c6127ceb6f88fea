"""What the emulated Port accepts as a dashboard page: the page, its layout, its widgets.

After Port's published schemas of POST /pages and of a search query, its widget reference (port-labs/port-skills,
`port-dashboards`) and the pages that its own integrations create (port-labs/ocean, `.port/resources/pages.json`).
Widgets that the product does not use are refused like unknown ones. Port does not look up what a widget names; the
sandbox does [inferred], because such a widget is silently empty.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from usage_assets_sandbox.port_search import META_PROPERTIES, Query, Rule, rule_predicate
from usage_assets_sandbox.port_validation import AverageOf, CalculationSpec, JsonObject, PortError, Request, converted

Text = Annotated[str, Meta(min_length=1)]

DatePreset = Literal[
    "today", "tomorrow", "yesterday", "lastWeek", "last2Weeks", "lastMonth", "last3Months", "last6Months",
    "last12Months",
]  # fmt: skip
ChartRange = Literal[
    "today", "yesterday", "lastDay", "lastWeek", "last2Weeks", "lastMonth", "last3Months", "last6Months",
    "last12Months",
]  # fmt: skip


class DateRange(Request):
    """The value of a rule `between`, in words. The sandbox's searches take dates only."""

    preset: DatePreset


class Reference(NamedTuple):
    """A property that a widget names, and what it must be: its `type` or `format`, None for any."""

    blueprint: str
    property: str
    kind: str | None = None
    may_be_calculated: bool = True


# Widgets


class Widget(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, rename="camel", kw_only=True):
    """What all widgets have."""

    id: Text
    title: Text
    icon: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    empty_state_text: str | UnsetType = UNSET

    def references(self) -> Iterator[Reference]:
        """Every property that the widget names."""
        yield from ()


class Markdown(Widget, tag="markdown"):
    """A text."""

    markdown: str


class Sort(Request):
    """One column that a table is sorted by."""

    property: str
    order: Literal["asc", "desc"]


class GroupSettings(Request):
    """What a table is grouped by."""

    group_by: list[str]


class SortSettings(Request):
    """What a table is sorted by."""

    sort_by: list[Sort]


class PropertiesSettings(Request):
    """A table's columns."""

    order: list[str]
    shown: list[str]


class TableConfig(Request):
    """How a table shows one blueprint."""

    group_settings: GroupSettings
    sort_settings: SortSettings
    properties_settings: PropertiesSettings


class Table(Widget, tag="table-entities-explorer"):
    """Entities as rows."""

    blueprint: str
    dataset: Query
    display_mode: Literal["widget"]
    blueprint_config: dict[str, TableConfig]

    def references(self) -> Iterator[Reference]:
        """Groups, sort keys, columns, filters."""
        for blueprint, config in self.blueprint_config.items():
            names = [
                *config.group_settings.group_by,
                *(sort.property for sort in config.sort_settings.sort_by),
                *config.properties_settings.order,
                *config.properties_settings.shown,
            ]
            yield from (Reference(blueprint, name) for name in names)
        yield from dataset_references(self.blueprint, self.dataset)


class NumberChart(Widget, tag="entities-number-chart"):
    """One number of many entities."""

    blueprint: str
    dataset: Query
    chart_type: Literal["countEntities", "aggregateByProperty"]
    calculation_by: Literal["entities", "property"]
    func: Literal["count", "average", "sum", "min", "max", "median"]
    unit: Literal["none", "$", "€", "£", "%", "custom"]
    unit_alignment: Literal["left", "right", "bottom"] | UnsetType = UNSET
    unit_custom: Text | UnsetType = UNSET
    property: str | UnsetType = UNSET
    average_of: AverageOf | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Check what belongs together."""
        CalculationSpec(
            func=self.func,
            calculation_by=self.calculation_by,
            property=self.property,
            average_of=self.average_of,
        )
        if (self.chart_type == "countEntities") != (self.calculation_by == "entities"):
            raise ValueError(f"chartType {self.chart_type!r} does not go with calculationBy {self.calculation_by!r}")
        if (self.unit_custom is not UNSET) != (self.unit == "custom"):
            raise ValueError("unitCustom goes with unit 'custom', and only with it")

    def references(self) -> Iterator[Reference]:
        """The property that is added up, filters."""
        if self.property is not UNSET:
            yield Reference(self.blueprint, self.property, "number")
        yield from dataset_references(self.blueprint, self.dataset)


class PieChart(Widget, tag="entities-pie-chart"):
    """Entities counted by the value of one property."""

    blueprint: str
    property: Annotated[str, Meta(pattern="^property#.")]
    dataset: Query

    def references(self) -> Iterator[Reference]:
        """The property of the slices, filters."""
        yield Reference(self.blueprint, self.property.removeprefix("property#"))
        yield from dataset_references(self.blueprint, self.dataset)


class TimeRange(Request):
    """How far back a line chart goes."""

    preset: ChartRange


class Line(Request):
    """Number properties of many entities, put together per interval."""

    title: Text
    blueprint: str
    chart_type: Literal["aggregatePropertiesValues"]
    func: Literal["sum", "average", "min", "max", "median", "last"]
    measure_time_by: str
    properties: Annotated[list[Annotated[str, Meta(pattern=r"^properties\..")]], Meta(min_length=1)]
    dataset: Query

    def references(self) -> Iterator[Reference]:
        """Time, values, filters."""
        yield Reference(self.blueprint, self.measure_time_by, "date-time")
        for name in self.properties:
            yield Reference(self.blueprint, name.removeprefix("properties."), "number", may_be_calculated=False)
        yield from dataset_references(self.blueprint, self.dataset)


class MultiLineChart(Widget, tag="multi-line-chart"):
    """Lines over time. Its forerunner `line-chart` was to go in July 2026."""

    time_interval: Literal["hour", "day", "isoWeek", "month", "quarter"]
    time_range: TimeRange
    x_axis_title: str
    y_axis_title: str
    lines: Annotated[list[Line], Meta(min_length=1)]

    def references(self) -> Iterator[Reference]:
        """Those of every line."""
        for line in self.lines:
            yield from line.references()


# The page


class Column(Request):
    """A widget's place in its row, in twelfths."""

    id: Text
    size: Annotated[int, Meta(ge=3, le=12)]


class Row(Request):
    """Widgets beside each other; `height` in pixels."""

    height: Annotated[int, Meta(ge=400)]
    columns: Annotated[list[Column], Meta(min_length=1, max_length=4)]

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if sum(column.size for column in self.columns) != 12:
            raise ValueError("column sizes must sum to 12")


class DashboardWidget(msgspec.Struct, tag_field="type", tag="dashboard-widget", forbid_unknown_fields=True):
    """What holds a dashboard's widgets and their layout."""

    id: Text
    layout: list[Row]
    widgets: list[Markdown | Table | NumberChart | PieChart | MultiLineChart]

    def __post_init__(self) -> None:
        """Check that every widget has one place and every place one widget."""
        placed = sorted(column.id for row in self.layout for column in row.columns)
        if placed != sorted(widget.id for widget in self.widgets) or len(set(placed)) < len(placed):
            raise ValueError("layout columns and widgets must have the same ids, each once")


class PageBody(Request, kw_only=True):
    """Body of POST /pages, of a dashboard. Port announced that it will insist on the one wrapping widget."""

    identifier: Annotated[str, Meta(pattern=r"^[A-Za-z0-9@_.:/=-]+\Z")]
    title: Text
    type: Literal["dashboard"]
    widgets: Annotated[list[DashboardWidget], Meta(min_length=1, max_length=1)]
    icon: str | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=150)] | UnsetType = UNSET
    show_in_sidebar: bool = True
    section: Literal["software_catalog", "organization"] = "software_catalog"
    required_query_params: list[str] = msgspec.field(default_factory=list)


def dataset_references(blueprint: str, dataset: Query) -> Iterator[Reference]:
    """The properties that a filter names; a rule that Port would refuse raises a 422."""
    for raw in dataset.rules:
        if "combinator" in raw:
            yield from dataset_references(blueprint, converted(raw, Query))
            continue
        rule = converted(raw, Rule)
        if isinstance(rule.value, dict) and "preset" in rule.value:
            converted(rule.value, DateRange)
            if rule.operator != "between":
                raise PortError("invalid_request", f"operator {rule.operator!r} does not take a range of dates")
            yield Reference(blueprint, rule.property, "date-time")
        else:
            rule_predicate(rule)
            if (rule.property, rule.operator) == ("$blueprint", "=") and rule.value != blueprint:
                raise PortError("invalid_request", f"the filter asks for {rule.value!r}, the widget for {blueprint!r}")
            yield Reference(blueprint, rule.property)


def check_references(page: PageBody, blueprints: Mapping[str, JsonObject]) -> None:
    """Raise a 422 for the first property that a widget names and its blueprint does not have."""
    for widget in page.widgets[0].widgets:
        for blueprint, key, kind, may_be_calculated in widget.references():
            if key in META_PROPERTIES:
                continue
            if blueprint not in blueprints:
                raise PortError("invalid_request", f"widget {widget.id}: there is no blueprint {blueprint!r}")
            calculated = blueprints[blueprint]["calculationProperties"] if may_be_calculated else {}
            definition = (blueprints[blueprint]["schema"]["properties"] | calculated).get(key)
            if definition is None or kind not in {None, definition["type"], definition.get("format")}:
                raise PortError(
                    "invalid_request", f"widget {widget.id}: {blueprint} has no {kind or 'property'} {key!r}"
                )
