"""Costs: dollars, cents and credits in one table, which are never added to each other.

``sql/daily_costs/<source>.sql`` in a provider's folder computes them. A second table splits billed costs among the
users and keys that caused them: ``sql/allocated_costs/`` says who used what, and ``sql/allocated.sql`` splits the bill.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Annotated, ClassVar

import duckdb

from usage_assets.core.errors import first_line
from usage_assets.core.schema import Row, Total, column
from usage_assets.models.due import VIEWS as VIEWS_OF_DUE
from usage_assets.models.model import MAY_LACK_DAYS, SQL, STATED, Model, sql_files, with_providers
from usage_assets.providers import PROVIDERS
from usage_assets.providers.derived import SourceRows
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import VIEWS as LEDGER_VIEWS
from usage_assets.warehouse.migrate import create_or_alter, make_ready
from usage_assets.warehouse.readable import without_costs
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed, View, WarehouseError
from usage_assets.warehouse.views import broken_views, make_views

ChargeFrequency = Annotated[
    str | None,
    column(
        "How often it is charged, as FOCUS says it: Usage-Based, Recurring (seats, fees), One-Time; null: not stated",
        is_added=True,
    ),
]
ChargeCategory = Annotated[
    str | None,
    column("Usage, Purchase, Tax, Credit or Adjustment, as FOCUS says it; null: not stated", is_added=True),
]
CostsStated = Annotated[
    str | None,
    column(
        "Which costs every charge of the row states besides the billed one: effective, contracted, list, "
        "comma-separated; null: none",
        is_added=True,
    ),
]
dollars = partial(column, unit="USD", additive=False)
native = partial(column, unit="native_unit", within=("currency",), additive=False)
NativeAmount = Annotated[Decimal, native("Amount as the provider states it", kind="cost_basis")]
beside_billed = partial(native, within=("currency", "cost_basis"), is_added=True)
Effective = Annotated[
    Decimal | None, beside_billed("Cost with prepaid charges spread over their use; null: not stated", kind="effective")
]
Contracted = Annotated[Decimal | None, beside_billed("Cost at negotiated prices; null: not stated", kind="contracted")]
Listed = Annotated[Decimal | None, beside_billed("Cost at list prices; null: not stated", kind="list")]
EffectiveUsd = Annotated[
    Decimal | None,
    dollars(
        "Dollars of effective_amount; null where that or a rate is",
        kind="effective",
        within=("cost_basis",),
        is_added=True,
    ),
]
KIND_OF_CHARGE = ("charge_category", "costs_stated")
"""The dimensions that tell what kind of a charge it is, and what its source says of it besides the bill. All charges of
a row state the same costs, so no cost of a row is that of a part of it."""
ProviderName = Annotated[str, column("Provider")]
CostBasis = Annotated[str, column("billed, estimated, notional or credits; never add one to another")]
NativeUnit = Annotated[str, column("dollars, cents, credits; major or minor units of other currencies")]
Currency = Annotated[str | None, column("Currency, ISO 4217; null for credits")]
UserId = Annotated[str | None, column("Person, as the provider knows them", personal=True)]
ApiKeyId = Annotated[str | None, column("API key; null: use without one, or not stated")]
ApiKeyName = Annotated[str | None, column("Name of the API key that Claude Code ran with", personal=True)]
UsageType = Annotated[
    str | None,
    column(
        "Anthropic token class or cost type; second part of an OpenAI line item, or all of one without a comma; "
        "SKU of a bill without either"
    ),
]
UsdReason = Annotated[str | None, column("Why amount_usd is null")]
ModelUsed = Annotated[str | None, column("Model: the source's own, or what an OpenAI line item names first")]
ProjectId = Annotated[str | None, column("Project of OpenAI, or sub account of a FOCUS file")]
WorkspaceId = Annotated[
    str | None,
    column("Workspace of Anthropic (null: the default one), ChatGPT or OpenRouter, or team of LiteLLM"),
]
CostType = Annotated[
    str | None,
    column("Anthropic: tokens, web_search, code_execution or session_usage. Of a FOCUS file: the service"),
]
TokenType = Annotated[
    str | None,
    column("Token class, as Anthropic names it; of a FOCUS file, the kind of usage of a charge for tokens"),
]
ServiceTier = Annotated[str | None, column("Service tier, where the bill states it")]
ContextWindow = Annotated[str | None, column("Context window, where the bill states it")]
InferenceGeo = Annotated[str | None, column("Inference region, where the bill states it")]
SOURCES = tuple(source for provider in PROVIDERS.values() for source in provider.costs)
SPLIT = [source.table for source in SOURCES if source.splits_line_items]
_FOR = ("model", "project_id", "workspace_id", "user_id", "api_key_id")
"""The dimensions that tell what was used, and for whom."""
_PRICED_BY = (
    "line_item",
    "cost_type",
    "token_type",
    "service_tier",
    "context_window",
    "inference_geo",
    "charge_frequency",
)
"""The dimensions that tell what is billed, and not for whom."""


class DailyCost(Row):
    """One row per connection, day, source, cost basis, currency and the source's own dimensions.

    Sum amount_usd only within one cost_basis: estimates price use that is already in what is billed (Claude Code) or in
    credits (Codex), notional costs are covered by a seat, credits are not a currency. Sum native_amount only within one
    native_unit and currency.
    """

    table = "costs.daily_costs"
    slice_by = "source_table"
    grain = (
        "source_table",
        "cost_basis",
        "native_unit",
        "currency",
        *_FOR,
        "api_key_name",
        *_PRICED_BY,
        *KIND_OF_CHARGE,
    )
    totals = {
        "billed_usd": Total("sum(amount_usd) filter (where cost_basis = 'billed')", "USD"),
        "estimated_usd": Total("sum(amount_usd) filter (where cost_basis = 'estimated')", "USD"),
        "notional_usd": Total("sum(amount_usd) filter (where cost_basis = 'notional')", "USD"),
        "credits": Total("sum(native_amount) filter (where native_unit = 'credits')", "credits"),
        "line_items_unparsed": Total(
            f"if(any_value(source_table) in {SPLIT}, count(line_item) - count(usage_type), null)", "rows"
        ),
    }

    provider: ProviderName
    source_table: Annotated[str, column("Raw table that the row is computed from")]
    cost_basis: CostBasis
    native_amount: NativeAmount
    native_unit: NativeUnit
    currency: Currency
    amount_usd: Annotated[Decimal | None, dollars("The same amount; null where unknown", kind="cost_basis")]
    usd_reason: UsdReason
    usd_rate: Annotated[Decimal | None, dollars("What a credit, or a unit of the currency, was worth", kind="price")]
    usd_rate_source: Annotated[str | None, column("Source of the rate, as in the connections file")]
    model: ModelUsed
    usage_type: UsageType
    project_id: ProjectId
    workspace_id: WorkspaceId
    user_id: UserId
    api_key_id: ApiKeyId
    api_key_name: ApiKeyName
    line_item: Annotated[
        str | None, column("Line item, description, or product and SKU, as the source names what it charges for")
    ]
    cost_type: CostType
    token_type: TokenType
    service_tier: ServiceTier
    context_window: ContextWindow
    inference_geo: InferenceGeo
    charge_frequency: ChargeFrequency
    charge_category: ChargeCategory
    costs_stated: CostsStated
    effective_amount: Effective
    contracted_amount: Contracted
    list_amount: Listed
    effective_usd: EffectiveUsd
    grouped_by: Annotated[str, column("Dimensions that the provider granted: a null in another one was not requested")]


MISSING_DAYS = """
with expected as (
  select unnest($connections::varchar[]) as connection, unnest($sources::varchar[]) as slice
  union
  select connection, slice
  from ledger.stored_days
  where table_name = 'costs.daily_costs'
),
days as (
  select day::date as usage_date
  from generate_series($first::timestamp, $last::timestamp, interval 1 day) as series(day)
)
select
  connection,
  slice,
  coalesce(
    list(usage_date order by usage_date) filter (is_open is distinct from false and superseded_by is null), []
  )
from expected
cross join days
left join (
  select connection, slice, usage_date, is_open
  from ledger.stored_days
  where table_name = 'costs.daily_costs'
) as stored using (connection, slice, usage_date)
left join ledger.superseded_days using (connection, usage_date)
group by connection, slice
order by connection, slice
"""


class AllocatedCost(Row):
    """One row per connection, day, billed row of costs.daily_costs, and API key and user that it is for.

    Everything that Anthropic and OpenAI bill, and GitHub in AI credits, once. A bill is one row if its provider names
    the user, or if its users are unknown. Otherwise it is split by usage, and its parts add up to the last digit.
    Never add it to costs.daily_costs, which holds the same money. Sum native_amount only within one native_unit and
    currency. A part is native_amount = billed_amount * units / all_units, rounded by the largest remainder
    (sql/macros/part_of.sql).
    """

    table = "costs.allocated_costs"
    slice_by = "source_table"
    grain = ("source_table", "native_unit", "currency", *_FOR, *_PRICED_BY)
    totals = {
        "billed_usd": Total("sum(amount_usd)", "USD"),
        "unattributed_usd": Total("sum(amount_usd) filter (where allocation = 'unattributed')", "USD"),
    }

    provider: ProviderName
    source_table: Annotated[str, column("Raw table that holds the bill")]
    native_amount: Annotated[Decimal, native("Amount of this part", kind="billed")]
    native_unit: Annotated[str, column("dollars, cents; major or minor units of other currencies")]
    currency: Annotated[str | None, column("Currency, ISO 4217")]
    amount_usd: Annotated[
        Decimal | None, dollars("The dollars of the bill, split alike; null where unknown", kind="billed")
    ]
    usd_reason: UsdReason
    model: ModelUsed
    usage_type: UsageType
    project_id: ProjectId
    workspace_id: Annotated[str | None, column("Anthropic workspace; null: the default one")]
    user_id: Annotated[
        str | None,
        column("OpenAI user, Anthropic account or GitHub login; null: no person's, or not known", personal=True),
    ]
    api_key_id: Annotated[str | None, column("API key; null: use without one, or not known")]
    line_item: Annotated[str | None, column("Line item, description, or product and SKU of the bill")]
    cost_type: CostType
    token_type: TokenType
    service_tier: ServiceTier
    context_window: ContextWindow
    inference_geo: InferenceGeo
    charge_frequency: ChargeFrequency
    allocation: Annotated[
        str,
        column(
            "How key and user are known: stated by the provider; by tokens, requests, images, characters, seconds or "
            "nanocredits (billionths of an AI credit), which they used; unattributed: not at all"
        ),
    ]
    basis: Annotated[str | None, column("What the units are, and what their usage has in common with the bill")]
    units: Annotated[int | None, column("What was used by this key and user", unit="allocation", additive=False)]
    all_units: Annotated[
        int | None, column("What was used by all who share the bill", unit="allocation", additive=False)
    ]
    billed_amount: Annotated[Decimal, native("Amount that this is a part of", kind="billed")]


class Sums(Row):
    """What rows of costs add up to, by what tells whom they are for. They are written with the rows."""

    slice_by = "source_table"
    grain: ClassVar[tuple[str, ...]] = (
        "source_table",
        "cost_basis",
        "native_unit",
        "currency",
        *_FOR[1:],
        "api_key_name",
    )

    provider: ProviderName
    source_table: Annotated[str, column("Raw table that the rows are computed from")]
    cost_basis: CostBasis
    native_amount: NativeAmount
    native_unit: NativeUnit
    currency: Currency
    amount_usd: Annotated[Decimal | None, dollars("The dollars that are known; null: of no row", kind="cost_basis")]
    rows_without_usd: Annotated[int, column("Rows whose amount_usd is null", unit="rows")]
    rows_of_unknown_value: Annotated[int, column("Those of them whose native_amount is not 0", unit="rows")]
    project_id: ProjectId
    workspace_id: WorkspaceId
    user_id: UserId
    api_key_id: ApiKeyId
    api_key_name: ApiKeyName


class DailyCostSums(Sums):
    """One row per connection, day, source, cost basis, unit, currency, project, workspace, user, API key and category.

    What the rows of costs.daily_costs add up to, written with them. Read costs.daily_costs_by_key instead: it also has
    the days that an earlier release wrote. Rows that state other costs (costs_stated) are other sums.
    """

    table = "costs.daily_costs_sums"
    grain = (*Sums.grain, *KIND_OF_CHARGE)

    charge_category: ChargeCategory
    costs_stated: CostsStated
    effective_amount: Effective
    contracted_amount: Contracted
    list_amount: Listed
    effective_usd: EffectiveUsd


class AllocatedCostSums(Sums):
    """One row per connection, day, source, unit, currency, project, workspace, user and API key.

    What the rows of costs.allocated_costs add up to, written with them. Read costs.allocated_costs_by_key instead: it
    also has the days that an earlier release wrote.
    """

    table = "costs.allocated_costs_sums"


SUMMED = (
    ("by_day", "daily_costs_by_key", "usage_date", "day"),
    ("by_month", "daily_costs_by_key", "date_trunc('month', usage_date)::date as month", "month"),
    ("by_model", "daily_costs", "usage_date, family, variant, usage_type", "day, family, variant, kind of usage"),
    (
        "by_model_as_sent",
        "daily_costs",
        "usage_date, model, usage_type, family, version, variant, developer",
        "day, model as its provider calls it, kind of usage",
    ),
    ("by_usage_type", "daily_costs", "usage_date, usage_family", "day, family of kinds of use"),
    (
        "by_project",
        "daily_costs_by_key_named",
        "usage_date, project_id, project_name, workspace_id, workspace_name",
        "day, project or workspace",
    ),
    (
        "by_user",
        "daily_costs_by_key_named",
        "usage_date, user_id, user_name, user_email",
        "day, user as the bill names them",
    ),
    ("by_team", "allocated_costs_by_key_named", "usage_date, team, cost_center", "day, team"),
    (
        "by_actor",
        "allocated_costs_by_key_named",
        "usage_date, actor_kind, actor_id, actor_name",
        "day, actor (person, service_account, api_key or unknown)",
    ),
    (
        "by_person",
        "allocated_costs_by_key_of_people",
        "usage_date, actor_kind, person_id, person_name",
        "day, person (service account, API key or unknown)",
    ),
)
"""The views that ``sql/summed.sql`` makes: name, what is summed, by which columns, and these in words."""
OVER_ALL = frozenset({"by_model", "by_usage_type", "by_person"})
"""Those of them whose rows are of all connections and providers together, in whole units of a currency."""
WHOLE_UNIT = "case native_unit when 'cents' then 'dollars' when 'minor units' then 'major units' else native_unit end"
"""The unit that they show, of the one that a provider states."""
LISTED = {"model": "models", "usage_type": "usage_types", "provider": "providers", "connection": "connections"}
"""Column -> its list, in views over all connections that do not group by it."""
_OF_ROWS_ALONE = {"model": "by_model", "usage_type": "by_usage_type"}
"""Columns that sums by key lack -> the view that lists them."""


def lists_of(name: str) -> Sequence[str]:
    """Return the columns of LISTED that a view over all has lists of."""
    return [each for each in LISTED if name in OVER_ALL and _OF_ROWS_ALONE.get(each, name) == name]


def unit_of(name: str) -> str:
    """Return the unit that a view of SUMMED shows, in columns of a row's source."""
    return WHOLE_UNIT if name in OVER_ALL else "native_unit"


def source_columns(name: str) -> Sequence[str]:
    """Return by which columns of a row's source a view of SUMMED groups, before its own columns."""
    return () if name in OVER_ALL else ("connection", "provider")


_OF_MODEL = {
    "read": ", models.names_in_costs",
    "names": "\nleft join models.names_in_costs as names using (provider, model)",
}
"""What a query of rows with a model needs in order to show which one it is."""
_OF_USAGE_TYPE = {
    "read": ", models.usage_families",
    "names": "\nleft join (select provider as seller, usage_type as sent, usage_family from models.usage_families)"
    "\n  on seller = provider and sent is not distinct from usage_type",
}
"""What a query of rows with a kind of use needs in order to show its family."""
_OF_NO_MODEL = dict.fromkeys(_OF_MODEL, "")
_OF_ROWS = {
    "without": "count(*) filter (where amount_usd is null)",
    "unknown": "count(*) filter (where amount_usd is null and native_amount <> 0)",
}
_OF_SUMS = {"without": "sum(rows_without_usd)", "unknown": "sum(rows_of_unknown_value)"}
_STATED_SUMS = "".join(
    f"  sum({name}) as {name},\n" for name in ("effective_amount", "contracted_amount", "list_amount", "effective_usd")
)
_OF_KEYS: Mapping[str, Mapping[str, str]] = {
    DailyCost.table: {
        "cost_basis": "cost_basis",
        "api_key_name": "api_key_name",
        "stated": "".join(f"  {name},\n" for name in KIND_OF_CHARGE) + _STATED_SUMS,
    },
    AllocatedCost.table: {"cost_basis": "'billed'", "api_key_name": "null::text", "stated": ""},
}


NEWER_COLUMNS = """\
  union all by name
  select null::text as charge_frequency
  where false
"""
"""Columns of costs that a file of an earlier release lacks until its next write."""


def _template(file: str, **values: str) -> str:
    return (SQL / f"{file}.sql").read_text().format(**values)


def _by_key(table: str, source: str) -> str:
    return _template("by_key", source=source, **_OF_KEYS[table])


def of_people(source: str) -> str:
    """Return the query of a view of costs with the person that each is for."""
    return _template("of_people", source=source)


def _model_names(name: str, of_usage: str = "", **values: str) -> str:
    """Return the view of models' names; its braces are regular expressions."""
    sql = (SQL / "model_names.sql").read_text()
    for key, value in {"name": name, "usage": of_usage, **values}.items():
        sql = sql.replace(f"{{{key}}}", value)
    return _with_rules(sql)


def _with_rules(sql: str) -> str:
    """Return a view in which what a model's name means stands for a line such as ``{model_rules of costs.provider,
    costs.model}``, the file of macros for ``{stored part_of}``, and the providers' queries for theirs."""
    rules = (SQL / "model_rules.sql").read_text()
    with_rules = re.sub(r"^\{model_rules of (.+)\}\n", lambda found: rules.replace("{name}", found[1]), sql, flags=re.M)
    with_macros = re.sub(r"^\{stored (\w+)\}\n", lambda found: _stored_macros(found[1]), with_rules, flags=re.M)
    return with_providers(with_macros)


def _stored_macros(file: str) -> str:
    """Return macros as a stored view can use them: its readers have no temporary ones."""
    text = (SQL / "macros" / f"{file}.sql").read_text().replace("temp macro", "macro")
    names = "|".join(re.findall(r"macro (\w+)\(", text))
    return re.sub(rf"\b({names})\(", r"costs.\1(", text)


_OWNED = {
    "api_key": "coalesce(api_key_id, api_key_name)",
    "user": "user_id",
    "project": "project_id",
    "workspace": "workspace_id",
}
"""What may have an owner -> its id in rows of costs."""
_IN_PLACE = {
    "unallocated": _template("unallocated"),
    "owned": "".join(_template("owned", kind=kind, id=id_) for kind, id_ in _OWNED.items()),
    "with_names": _template("with_names", source="costs"),
}
"""Queries that ``sql/attributed.sql`` has in each place that reads them (as ``sql/by_key_view.sql`` has
``sql/unsummed.sql``, and as names are joined five times). Of a common table expression that two places read, DuckDB 1.5
makes a table, and reads all columns of the costs then, also where it only holds names or days: 27 instead of 8. To plan
them took a third less, to read a month of the demo's half as long again. A stored view keeps no NOT MATERIALIZED."""
OF_USAGE = """\
    select provider, model
    from costs.usage
    union all by name
"""
VIEWS = (
    STATED["superseded"][1],
    View(_model_names("models.names", OF_USAGE, reads="costs.usage, ", what="")),
    View(_model_names("models.names_in_costs", reads="", what=", in costs")),
    *(View(_with_rules(path.read_text())) for path in sql_files("views/*.sql")),
    *(
        View(
            _template(
                "by_key_view",
                table=table,
                unsummed=_template("unsummed", table=table),
                by_key=_by_key(table, "unsummed"),
            )
        )
        for table in _OF_KEYS
    ),
    *(
        View(_template("named", by_key=by_key, with_names=_template("with_names", source=f"costs.daily_costs{by_key}")))
        for by_key in ("", "_by_key")
    ),
    *(
        View(_template("of_people_view", by_key=by_key, of_people=of_people(f"costs.allocated_costs{by_key}_named")))
        for by_key in ("", "_by_key")
    ),
    View(
        _template(
            "attributed",
            **_IN_PLACE,
            by_key="",
            part_columns="*, 'billed' as cost_basis",
            bill_columns="* exclude (grouped_by)",
            newer_columns=NEWER_COLUMNS,
            what="Every cost once",
        )
    ),
    View(
        _template(
            "attributed",
            **_IN_PLACE,
            by_key="_by_key",
            part_columns="*",
            bill_columns="*",
            newer_columns="",
            what="Every cost once, as sums by key",
        )
    ),
    *(
        View(
            _template(
                "summed_over_all" if name in OVER_ALL else "summed",
                name=name,
                source=source,
                by=",\n  ".join((*source_columns(name), by)),
                grain=", ".join((*source_columns(name)[:1], grain)),
                whole_unit=WHOLE_UNIT,
                lists="".join(f"\n    list(distinct {each}) as {LISTED[each]}," for each in lists_of(name)),
                merged_lists="".join(
                    f"\n  list_sort(list_distinct(flatten(list({LISTED[each]})))) as {LISTED[each]},"
                    for each in lists_of(name)
                ),
                **(_OF_USAGE_TYPE if "usage_family" in by else _OF_MODEL if "family" in by else _OF_NO_MODEL),
                **(_OF_SUMS if "_by_key" in source else _OF_ROWS),
            )
        )
        for name, source, by, grain in SUMMED
    ),
)


def used_views(names: Iterable[str]) -> tuple[View, ...]:
    """Return the views of these names, with those that they read."""
    makers = {name: view for view in (*LEDGER_VIEWS, *VIEWS) for name in view.names}
    used: dict[View, None] = {}
    waiting = [makers[name] for name in names if name in makers]
    while waiting:
        view = waiting.pop()
        if view not in used:
            used[view] = None
            waiting += [makers[name] for name in view.reads if name in makers]
    return tuple(used)


def unreadable(database: duckdb.DuckDBPyConnection, error: duckdb.Error) -> WarehouseError:
    """Return why costs cannot be read: none are stored, or those of an earlier release lack a view or a column."""
    how = "usage-assets report --refresh brings it up to date"
    earlier = f"an earlier release has written what is stored: {how} ({first_line(error)})"
    return without_costs(database) or WarehouseError(earlier)


def reads_of(source: str) -> Sequence[str]:
    """Return what the query of a source's costs says that it reads besides the source's own table."""
    [file] = sql_files(f"daily_costs/{source.replace('.', '_')}.sql")
    return View(file.read_text()).reads


GROUPS = {endpoint.row.table: endpoint.group for provider in PROVIDERS.values() for endpoint in provider.endpoints}
"""Raw table -> asset group: what is computed from one source alone is in its group."""
BILLED = {
    **dict.fromkeys(("effective_amount", "contracted_amount", "list_amount"), "null::decimal(38, 24)"),
    "cost_basis": "'billed'",
    "currency": "'USD'",
    "native_unit": "if(upper(currency) = 'USD', 'dollars', 'major units')",
}
"""What amounts are where their source says nothing else."""
COSTS = tuple(
    Model(
        name="daily_costs",
        file=source.table.replace(".", "_"),
        folder="daily_costs",
        under=source.table.partition(".")[2],
        group=GROUPS[source.table],
        row=DailyCost,
        reads=(source.table,),
        optional_refs=source.beside,
        adds_up_to=replace(source, columns={**BILLED, **source.columns}),
        may_lack=MAY_LACK_DAYS.union(source.beside),
        within="valued.sql",
        uses=used_views(reads_of(source.table)),
        views=(*VIEWS_OF_DUE, *VIEWS),
        sums=(DailyCostSums, _by_key(DailyCost.table, DailyCost.table)),
        part=source.table,
    )
    for source in SOURCES
)
"""One part of ``costs.daily_costs`` per source of cost, each an asset of its own, so that none blocks another.

The views join lookups and owners to it and to ``costs.allocated_costs``, which is declared here because they read it: a
name or an owner changes nothing stored.
"""
ALLOCATIONS = tuple(
    Model(
        name="allocated_costs",
        file=f"{provider.name}_allocated_costs",
        folder="allocated_costs",
        under=source.partition(".")[2],
        group=GROUPS[source],
        row=AllocatedCost,
        reads=(DailyCost.table,),
        within="allocated.sql",
        optional_refs=usage,
        adds_up_to=SourceRows(
            rows="costs.daily_costs where cost_basis = 'billed' and source_table = $part",
            columns={name: name for name in ("native_amount", "amount_usd", "native_unit", "currency")},
            total="concat('billed', if(measure = 'amount_usd', ', in dollars', ''))",
        ),
        sums=(AllocatedCostSums, _by_key(AllocatedCost.table, AllocatedCost.table)),
        part=source,
    )
    for provider in PROVIDERS.values()
    for source, usage in provider.allocations.items()
)
"""One part of ``costs.allocated_costs`` per source that bills more than one API key or person in a row."""
SUMS = {model.sums[0].table: model.row.table for model in (*COSTS, *ALLOCATIONS) if model.sums}
"""Tables of sums -> the table that they are written with. The ledger notes the days of that one only."""
CONTROLS = {
    endpoint.control.row.table: endpoint.row.table
    for provider in PROVIDERS.values()
    for endpoint in provider.endpoints
    if endpoint.control
}
"""Tables of control totals -> the table of the rows that they are of."""


def costs_of(tables: Collection[str]) -> Sequence[Model]:
    """Return the parts of ``costs.daily_costs`` that are computed from these raw tables."""
    return [cost for cost in COSTS if {*cost.reads} <= {*tables}]


def days_without_costs(
    database: duckdb.DuckDBPyConnection, fetched: Collection[tuple[str, str]], first: date, last: date
) -> Mapping[tuple[str, str], Sequence[date]]:
    """Return the days, by connection and source of costs, that have no complete costs.

    The one answer to whether costs are stored: a day is complete when it was over and every source of its connection
    is there, or another connection bills it. The sources are those that are ``fetched`` (connection and raw table
    each) and those that ever were: what is switched off is missing from then on.
    """
    make_views(database, [STATED["superseded"][1]])
    connections, sources = [name for name, _ in fetched], [source for _, source in fetched]
    parameters = {"connections": connections, "sources": sources, "first": first, "last": last}
    rows = database.execute(MISSING_DAYS, parameters).fetchall()
    return {(connection, source): days for connection, source, days in rows}


def bring_up_to_date(warehouse: Warehouse, seeds: Seed) -> None:
    """Make the views those of this release, and what they read of the connections file what that says now."""
    query = replace(COSTS[0].query, seed=seeds)
    with warehouse.transaction() as database:
        create_or_alter(database, Table(DailyCost))
        make_ready(database, query)
        broken_views(database, query.views)
