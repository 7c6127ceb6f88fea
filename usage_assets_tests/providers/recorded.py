"""Bodies that this project did not write, and what each of them means (``fixtures/recorded``).

Here: how a body is read, and how it becomes rows of the product. What is compared is in test_recorded.py.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pyarrow as pa

from usage_assets.core.days import DAY, Window, windows
from usage_assets.core.people import People
from usage_assets.core.schema import LookupRow
from usage_assets.fetching.client import fetched_from, read_page
from usage_assets.fetching.listing import fetch_lookup
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.models.costs import COSTS, VIEWS, DailyCost
from usage_assets.models.model import Model
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.providers.lookup import Lookup
from usage_assets.providers.records import Json, page_of_lines
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets.warehouse.views import make_views
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT, KEYS, client_of
from usage_assets_tests.models.days import Days, cases, lines

RECORDED = Path(__file__).parents[2] / "fixtures" / "recorded"
EVERY_LOOKUP: Mapping[str, tuple[Provider, Lookup]] = {
    lookup.row.table: (provider, lookup) for provider in PROVIDERS.values() for lookup in provider.lookups
}
SOME_DAY = date(2026, 6, 1)
"""The day that is asked for where a body has none."""
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Body:
    """An answer, and its entry in ``meaning.toml``."""

    folder: str
    """The provider."""
    entry: Mapping[str, Any]
    shared: str = ""
    """The connection that it is stored in together with others."""

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.entry['file']}"

    @property
    def path(self) -> Path:
        return RECORDED / self.name

    @property
    def table(self) -> str:
        table: str = self.entry["table"]
        return table

    @cached_property
    def days(self) -> Sequence[date]:
        """The days that its rows belong to, or the day to ask for where it has none."""
        return [date.fromisoformat(day) for day in self.entry["days"]] or [SOME_DAY]

    @property
    def connection(self) -> str:
        return self.shared or self.name

    @property
    def whole(self) -> Window:
        return Window(min(self.days), max(self.days))

    @property
    def asked(self) -> tuple[Provider, Endpoint]:
        """The endpoint that it answers."""
        return EVERY_ENDPOINT[self.table.replace(".", "/")]


def every_body() -> Iterator[Body]:
    """The bodies of all providers, as their ``meaning.toml`` list them."""
    for file in sorted(RECORDED.glob("*/meaning.toml")):
        for entry in tomllib.loads(file.read_text())["body"]:
            yield Body(file.parent.name, entry)


def together(bodies: Iterable[Body], called: str) -> Iterator[Sequence[Body]]:
    """Put bodies of one table whose days follow one another in one connection: to compute its costs takes as long as to
    compute those of one body."""
    groups: list[list[Body]] = []
    for body in sorted(bodies, key=lambda body: (body.table, body.whole.first)):
        for group in groups:
            if group[0].table == body.table and group[-1].whole.last < body.whole.first:
                group.append(replace(body, shared=group[0].shared))
                break
        else:
            groups.append([replace(body, shared=f"{called} {len(groups)}")])
    yield from groups


# --- Answers to our own requests --------------------------------------------------------------------------------------


def _only(items: str, day_of: Callable[[Json], object]) -> Callable[[Json, date], Json]:
    """Keeps the items of one day: what the same provider answers to a request for that day alone."""

    def reduced(body: Json, day: date) -> Json:
        return body | {items: [item for item in body[items] if day_of(item) == day]}

    return reduced


def _stated(field: str) -> Callable[[Json], object]:
    """The day in the first ten characters of a field."""
    return lambda item: date.fromisoformat(str(item[field])[:10])


def _moment(milliseconds: object) -> object:
    """The UTC day of a number of milliseconds; a time in another form stays what it is."""
    text = str(milliseconds)
    return datetime.fromtimestamp(int(text) / 1000, UTC).date() if text.isdigit() else text


def _cursor_events(body: Json, day: date) -> Json:
    """The events of a day, in the envelope of the Admin API: Cursor's dashboard calls the list otherwise."""
    events = body.get("usageEventsDisplay") or body["usageEvents"]
    kept = [event for event in events if _moment(event["timestamp"]) in (day, event["timestamp"])]
    page = {"numPages": 1, "currentPage": 1, "pageSize": 500, "hasNextPage": False, "hasPreviousPage": False}
    return {"totalUsageEventsCount": len(kept), "pagination": page, "usageEvents": kept}


def _legacy_costs(body: Json, day: date) -> Json:
    """The lines of a day, with their own total: the stated one is that of all days."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    entries = [entry for entry in body["daily_costs"] if entry["timestamp"] == start]
    total = sum((Decimal(line["cost"]) for entry in entries for line in entry["line_items"]), Decimal(0))
    return body | {"daily_costs": entries, "total_usage": total}


def _spanning(body: Json, day: date) -> Json:
    """Rows without a time, or with the placeholder that generated examples have, as rows of the requested day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    span = {"starting_at": midnight.isoformat(), "ending_at": (midnight + DAY).isoformat()}
    rows = [row if "T00:00:00" in row.get("starting_at", "") else row | span for row in body["data"]]
    return {name: value for name, value in body.items() if name != "data_refreshed_at"} | {"data": rows}


def _of_proxy(body: Json, day: date) -> Json:
    """The results of a day, with what stands around them in newer releases of LiteLLM. No number is added: a day
    without entities is in the one that stands for none."""
    results = [
        {"metrics": {}} | result | {"breakdown": _breakdown({"entities": unassigned} | result["breakdown"])}
        for result in body["results"]
        for unassigned in [{"Unassigned": {"metrics": result["metrics"]}} if "metrics" in result else {}]
    ]
    frame = {"page": 1, "total_pages": 1, "has_more": False} | body.get("metadata", {})
    return {"results": [result for result in results if result["date"] == str(day)], "metadata": frame}


def _breakdown(cuts: Json) -> Json:
    missing: Json = {"metadata": {}, "api_key_breakdown": {}}
    whole: Json = {"models": {}, "providers": {}} | cuts
    return {cut: {name: missing | part for name, part in parts.items()} for cut, parts in whole.items()}


AS_ASKED: Mapping[str, Callable[[Json, date], Json]] = {
    "openrouter.activity": _only("data", _stated("date")),
    "github_copilot.billing_usage": _only("usageItems", _stated("date")),
    **{f"litellm.{name}_activity": _of_proxy for name in ("user", "team", "tag", "customer")},
    "cursor.usage_events": _cursor_events,
    "openai_legacy.billing_usage": _legacy_costs,
    **{f"anthropic_analytics.{name}": _spanning for name in ("usage_report", "user_usage_report", "user_cost_report")},
}
"""Table -> how a body of it becomes the answer to our own request, which is for one day. Bodies that answer for several
days are played day by day. What must be refused is played as it is."""


def _metered(body: Json, day: date) -> Json:
    """GitHub's answer about a month or a year, as if it were about a day."""
    return body | {"timePeriod": {"year": day.year, "month": day.month, "day": day.day}}


def _billed(body: Json, day: date) -> Json:
    """GitHub's rows of months, as if they were of a day. The summary has no date in a row."""
    if "timePeriod" in body:
        return _metered(body, day)
    return body | {"usageItems": [item | {"date": str(day)} for item in body["usageItems"]]}


def _all_events(body: Json | list[Json], day: date) -> Json:
    """All events, in the envelope of the Admin API. Those without a moment are of the day."""
    events = body if isinstance(body, list) else body.get("usageEventsDisplay") or body["usageEvents"]
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1000
    return _cursor_events({"usageEvents": [{"timestamp": str(noon)} | event for event in events]}, day)


IN_OUR_FRAME: Mapping[str, Callable[[Json, date], Json]] = {
    "github_copilot.ai_credits": _metered,
    "github_copilot.premium_requests": _metered,
    "github_copilot.billing_usage": _billed,
    "cursor.usage_events": _all_events,
    "anthropic_analytics.cost_report": _spanning,
}
"""Table -> how a body that is refused for its period or its envelope becomes an answer about days: its amounts still
mean something."""


# --- Rows -------------------------------------------------------------------------------------------------------------


def rows_in_our_frame(body: Body) -> Iterator[tuple[Window, pa.Table]]:
    """The rows of a body that must be refused, in our frame. Raises what the product raises if it still refuses it."""
    _, endpoint = body.asked
    for day in body.days:
        answer = _encode(IN_OUR_FRAME[body.table](_decode(body.path.read_bytes()), day))
        yield Window(day, day), _read(body, endpoint, Window(day, day), answer)


def rows_of(body: Body) -> Iterator[tuple[Window, pa.Table]]:
    """The rows of a body, by the days that were asked for. Raises what the product raises of a body that it refuses."""
    provider, endpoint = body.asked
    if provider.reads_files:
        everything = {"services": ["*"]}
        with client_of(
            provider, key="", base_url=str(body.path), filters=everything, connection=body.connection
        ) as client:
            for window in windows(body.days, 31):
                yield window, client.fetch(endpoint, window.days).rows
        return
    for window, content in answers_of(body):
        yield window, _read(body, endpoint, window, content)


def answers_of(body: Body) -> Iterator[tuple[Window, bytes]]:
    """The answer that a body is to each of our own requests, by the days that are asked for."""
    _, endpoint = body.asked
    content = body.path.read_bytes()
    as_asked = None if body.entry["refused"] else AS_ASKED.get(body.table)
    if endpoint.window_days > 1 and not as_asked:
        yield body.whole, content
        return
    for day in body.days if as_asked else body.days[:1]:
        yield Window(day, day), _encode(as_asked(_decode(content), day)) if as_asked else content


def _read(body: Body, endpoint: Endpoint, window: Window, content: bytes) -> pa.Table:
    """The rows of an answer to a window, made by the product's own functions."""
    ids = {"workspace_id": "ws-recorded", "organization": "acme"}
    scope = Scope(connection=body.connection, ids=ids, people=People("names"))
    query = {"group": "workspace"} if "workspace" in body.name else {}
    parser = PageParser(scope, window, query, endpoint.group_by)
    read_page(endpoint, parser, page_of_lines(content, window) if endpoint.links else content)
    return fetched_from(endpoint, [parser], Counter()).rows


def store_nothing(days: Days, group: Sequence[Body], table: str) -> None:
    """Store all days from the first one of a connection's bodies to their last one without rows."""
    _, endpoint = EVERY_ENDPOINT[table.replace(".", "/")]
    whole = {"first": group[0].whole.first, "last": group[-1].whole.last}
    days.fetched(endpoint.row, connection=group[0].connection, **whole)


def store(days: Days, group: Sequence[Body], rows: Iterable[pa.Table]) -> None:
    """Store the rows of bodies that are in one connection. Days without a row are stored, too."""
    _, endpoint = group[0].asked
    target = Slice(group[0].connection, group[0].whole.first, group[-1].whole.last)
    batch = Batch(rows=pa.concat_tables(rows), began=datetime.now(UTC))
    days.warehouse.replace(Table(endpoint.row), batch, target, "run")


def listed(body: Body, frame: Json | None = None) -> Sequence[LookupRow]:
    """What a body of a lookup lists: it is the answer to every request for the list, as its last page. ``frame`` stands
    around it, where it has none of its own."""
    provider, lookup = EVERY_LOOKUP[body.table]
    if lookup.own_path:
        lookup = replace(lookup, path=lookup.own_path, own_path=None, for_each=None)
    answered: Json = (frame or {}) | _decode(body.path.read_bytes())
    last = {"next_page": None} if "next_page" in answered else {}
    ids = {"organization": "acme"}
    known: dict[str, Any] = {
        "key": KEYS[provider.name],
        "base_url": "https://api.example.com",
        "connection": body.name,
        "ids": ids,
    }
    content = _encode(answered | last)
    with client_of(provider, **known) as client:
        answer = patch.object(client.transport, "get", lambda _path, _params, request, **_: request.read(content))
        with answer:
            return fetch_lookup(client, lookup, datetime.now(UTC)).items


# --- Sums -------------------------------------------------------------------------------------------------------------

Money = Mapping[tuple[date, str, str], Decimal]
"""Day, cost basis, and unit (a currency, or credits) -> amount, unless it is 0: no row and a row of 0 are equal."""
Counters = Mapping[str, int]

WHERE = "where connection = $connection and usage_date between $first and $last"
COSTS_OF: Mapping[str, Model] = {model.part: model for model in COSTS if model.row is DailyCost and model.part}
"""Raw table -> the model of its costs."""
COST_ROWS = f"""
select
  usage_date,
  cost_basis,
  coalesce(currency, native_unit) as unit,
  sum(if(currency = 'USD', amount_usd, native_amount)) as amount
from costs.daily_costs
{WHERE}
group by all
"""


def amounts_of(table: str, basis: str, unit: str, amount: str, only: str = "true") -> str:
    """The query for the amounts in the rows of a table themselves."""
    named = f"usage_date, '{basis}' as cost_basis, {unit} as unit, sum({amount}) as amount"
    return f"select {named} from {table} {WHERE} and {only} group by all"


CENTS = "amount_cents::decimal(34, 22) * 0.01::decimal(2, 2)"
COVERED = "gross_amount - net_amount"
IN_NO_COST = lines(f"""
    litellm.team_activity                  litellm.team_activity        estimated  'USD'            spend
    litellm.tag_activity                   litellm.tag_activity         estimated  'USD'            spend
    litellm.customer_activity              litellm.customer_activity    estimated  'USD'            spend
    anthropic_analytics.cost_report        anthropic_analytics.cost_report       billed  upper(currency)  {CENTS}
    anthropic_analytics.user_cost_report   anthropic_analytics.user_cost_report  billed  upper(currency)  {CENTS}
    github_copilot.users_1_day   github_copilot.users_1_day  credits  'credits'  ai_credits_used  ai_credits_used > 0
    github_copilot.ai_credits        github_copilot.ai_credits        notional  'USD'  {COVERED}
    github_copilot.premium_requests  github_copilot.premium_requests  notional  'USD'  {COVERED}
    github_copilot.billing_usage     github_copilot.bill  billed    'USD'  net_amount  charge = 'metered'
    github_copilot.billing_usage     github_copilot.bill  notional  'USD'  {COVERED}  charge = 'metered'
""")
AMOUNTS: Mapping[str, Sequence[str]] = {
    table: [amounts_of(*given) for of, *given in IN_NO_COST if of == table] for table, *_ in IN_NO_COST
}
"""Raw table -> money in its rows that is in no cost: it is in those of another table, or a plan covers it. GitHub's
metered use is a cost of the reports by model, and is in the report of all products once more."""


def costs(days: Days, body: Body) -> Money:
    """What the stored rows of a body cost, as ``costs.daily_costs`` has it, and what else they state (AMOUNTS)."""
    return money_in(days, body, *AMOUNTS.get(body.table, ()), *([COST_ROWS] if body.table in COSTS_OF else []))


def money_in(days: Days, body: Body, *queries: str) -> Money:
    money: dict[tuple[date, str, str], Decimal] = {}
    for row in (row for query in queries for row in rows_in(days, query, body)):
        place = row["usage_date"], row["cost_basis"], row["unit"]
        money[place] = money.get(place, Decimal(0)) + row["amount"]
    return {place: amount for place, amount in money.items() if amount}


def derive(days: Days, group: Sequence[Body], file: str) -> None:
    """Compute the days of bodies that are in one connection."""
    days.derive(file, group[0].connection, group[0].whole.first, group[-1].whole.last)


VALUES = f"""
select
  charges.usage_date,
  charges.billing_currency as unit,
  [sum(effective_cost), any_value(costs.effective)] as effective,
  [sum(list_cost), any_value(costs.list)] as list,
  [sum(contracted_cost), any_value(costs.contracted)] as contracted
from focus.charges
left join (
  select
    usage_date as day,
    currency,
    sum(effective_amount) as effective,
    sum(list_amount) as list,
    sum(contracted_amount) as contracted
  from costs.daily_costs
  {WHERE}
  group by all
) as costs
  on costs.day = charges.usage_date
  and costs.currency = charges.billing_currency
{WHERE}
group by all
"""


def values(days: Days, body: Body) -> Mapping[tuple[date, str], Mapping[str, Any]]:
    """What a FOCUS file values its charges at, beside what it bills: by day and currency, in its rows and in costs."""
    return {(row["usage_date"], row["unit"]): row for row in rows_in(days, VALUES, body)}


USED = f"""
select
  sum(input_tokens - coalesce(cached_input_tokens, 0) - coalesce(cache_write_tokens, 0))::bigint as input,
  sum(cached_input_tokens)::bigint as cached_input,
  sum(cache_write_tokens)::bigint as cache_write,
  sum(output_tokens)::bigint as output,
  sum(requests)::bigint as requests
from costs.usage
{WHERE}
"""


def counters_of(table: str, only: str = "true", **counters: str) -> str:
    """The query for the sums of a table's own counters."""
    sums = ", ".join(f"sum({counter})::bigint as {name}" for name, counter in counters.items())
    return f"select {sums} from {table} {WHERE} and {only}"


CLASSES = {
    "input": "uncached_input_tokens",
    "cached_input": "cache_read_input_tokens",
    "cache_write": "cache_creation_5m_input_tokens + cache_creation_1h_input_tokens",
    "output": "output_tokens",
}
OF_PROXY = {
    "input": "prompt_tokens - coalesce(cache_read_input_tokens, 0) - coalesce(cache_creation_input_tokens, 0)",
    "cached_input": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
    "output": "completion_tokens",
    "requests": "api_requests",
}
MODEL_USES = """(
  select connection, usage_date, unnest(from_json(model_breakdown, '[{
    "input": "BIGINT", "cache_read": "BIGINT", "cache_creation": "BIGINT", "output": "BIGINT"
  }]'), recursive := true)
  from anthropic.claude_code
)"""
COUNTERS: Mapping[str, str] = {
    "anthropic.usage_messages": counters_of("anthropic.usage_messages", **CLASSES),
    "anthropic.claude_code": counters_of(
        MODEL_USES, input="input", cached_input="cache_read", cache_write="cache_creation", output="output"
    ),
    **{
        f"anthropic_analytics.{name}": counters_of(f"anthropic_analytics.{name}", **CLASSES, requests="requests")
        for name in ("usage_report", "user_usage_report")
    },
    "cursor.usage_events": counters_of(
        "cursor.usage_events",
        input="input_tokens",
        cached_input="cache_read_tokens",
        cache_write="cache_write_tokens",
        output="output_tokens",
    ),
    "litellm.user_activity": counters_of("litellm.user_activity", "cut = 'total'", **OF_PROXY),
    **{
        f"litellm.{name}_activity": counters_of(f"litellm.{name}_activity", **OF_PROXY)
        for name in ("team", "tag", "customer")
    },
    "openai.usage_web_search_calls": counters_of("openai.usage_web_search_calls", requests="num_model_requests"),
    "openai.usage_file_search_calls": counters_of("openai.usage_file_search_calls", requests="num_requests"),
    "openrouter.activity": counters_of(
        "openrouter.activity",
        input="prompt_tokens - coalesce(cached_tokens, 0)",
        cached_input="cached_tokens",
        output="completion_tokens",
        requests="requests",
    ),
}
"""Raw table -> its own counters, by the names of the meaning."""


def tokens(days: Days, body: Body) -> Counters:
    """What the stored rows of a body used, as ``costs.usage`` has it. ``input`` is what was not cached."""
    return counted(rows_in(days, USED, body))


def raw_tokens(days: Days, body: Body) -> Counters:
    """What the stored rows of a body used, as they state it themselves."""
    return counted(rows_in(days, COUNTERS[body.table], body))


def counted(rows: Sequence[Mapping[str, Any]]) -> Counters:
    [used] = rows
    return {name: count for name, count in used.items() if count is not None}


PEOPLE: Mapping[str, str] = {
    table: counted
    for tables, counted in cases("""
        openai.usage_completions openai.usage_embeddings openai.usage_moderations openai.usage_images
            openai.usage_audio_speeches openai.usage_audio_transcriptions openai.usage_web_search_calls
            openai.usage_file_search_calls anthropic_analytics.users cursor.usage_events litellm.user_activity
            -> count(distinct user_id)
        anthropic.claude_code -> count(distinct actor_email)
        anthropic_analytics.user_usage_report anthropic_analytics.user_cost_report -> count(distinct actor_user_id)
        anthropic_analytics.summaries -> sum(daily_active_user_count)
        chatgpt.codex_usage -> count(distinct coalesce(user_id, actor_user_id))
        cursor.daily_usage -> count(distinct user_id) filter (where is_active)
        github_copilot.users_1_day -> count(distinct user_login)
        github_copilot.organization_1_day -> sum(daily_active_users)
        litellm.customer_activity -> count(distinct end_user_id)
    """)
    for table in tables.split()
}
"""Raw table -> how many people its rows name, or count."""
SERVICE_ACCOUNTS: Mapping[str, str] = {"cursor.usage_events": "count(distinct service_account_id)"}
"""Raw table -> how many service accounts its rows name."""


def people(days: Days, body: Body) -> Counters:
    """How many people and service accounts the stored rows of a body are about, where the table names any."""
    named = {"count": PEOPLE, "service_accounts": SERVICE_ACCOUNTS}
    counts = [f"{of[body.table]}::bigint as {who}" for who, of in named.items() if body.table in of]
    return counted(rows_in(days, f"select {', '.join(counts)} from {body.table} {WHERE}", body)) if counts else {}


def rows_in(days: Days, query: str, body: Body) -> Sequence[Mapping[str, Any]]:
    where = {"connection": body.connection, "first": body.whole.first, "last": body.whole.last}
    rows: list[dict[str, Any]] = days.warehouse.read(query, where).to_pylist()
    return rows


def declare(warehouse: Warehouse) -> None:
    """Create every raw table, the table of costs, and the views over them."""
    tables = [Table(DailyCost), *(Table(endpoint.row) for _, endpoint in EVERY_ENDPOINT.values())]
    with warehouse.get_connection() as connection:
        warehouse.declare(connection, tables)
    with warehouse.transaction() as database:
        make_views(database, VIEWS)
