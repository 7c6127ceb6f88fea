"""Every refusal: what a provider can do wrong, at which endpoints, and how the sandbox is made to do it.

CASES prove the rows of docs/faults.md, with test_refusals.py. Where amounts and names stand in an answer
is derived from the row models, so that a new endpoint is covered by being declared.
"""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from usage_assets.core.days import DAY as ONE_DAY
from usage_assets.core.days import Window, rfc3339, unix_seconds
from usage_assets.core.schema import Column, arrow_schema, columns
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.page_parser import is_by_page
from usage_assets.fetching.transport import (
    LinkRefusedError,
    MovedError,
    NotServedYetError,
    PermanentError,
    ProviderError,
)
from usage_assets.providers.anthropic_analytics.engagement import ENGAGEMENT_ENDPOINTS
from usage_assets.providers.anthropic_analytics.reports import ACTOR, largest_groups
from usage_assets.providers.chatgpt.analytics import MEASURES
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets_sandbox.providers.github_copilot import REPORTS
from usage_assets_tests.fetching.conftest import DAY, OVER_HTTP, error_body
from usage_assets_tests.fixtures import ROOT
from usage_assets_tests.models.days import lines

PAGE = ROOT / "docs" / "faults.md"
Fault = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

WORDS = "the provider's own words"
NEVER_SEEN = "never seen before"
LONG = "x" * 1_000_000
STRANGE = "na\u00efve \u540d\u524d \U0001f600 \u202e \x00\x07\x1b[31m\r\n\t \"quoted\" | 'x' -- \\ \u2028 a, b"

# --- Endpoints --------------------------------------------------------------------------------------------------------

NOT_SENT = {"connection", "usage_date", "grouped_by", "occurrence", "other_fields"}
"""Columns that are ours."""


class Shape(NamedTuple):
    """What the row model of an endpoint does not say of its answers."""

    record: str = "data[0]"
    """Where the first record stands."""
    elsewhere: str = ""
    """Columns that are not read from the record's field of their name: ``column=place in it``, or ``column``."""
    required: str | None = None
    """The amount or counter that every record has, where the columns do not say which."""
    amount: str | None = None
    """The amount that a record may lack, where it is not the first one of the columns."""
    optional_parts: tuple[str, ...] = ()
    """Parts of a record that may be null or absent as a whole."""
    never_null: tuple[str, ...] = ()
    """Columns that are null in rows of another kind only."""
    has_pages: bool = True
    """Whether answers are pages, each with the token of the next."""
    names_days: bool = True
    """Whether an answer says which day it is of."""

    @property
    def places(self) -> dict[str, str | None]:
        """Where the columns are that are elsewhere, if anywhere."""
        return {column: place or None for column, _, place in (each.partition("=") for each in self.elsewhere.split())}


BUCKETS_OF_ROWS = Shape("data[0].results[0]")
OF_AN_API_KEY = Shape(elsewhere=" ".join(column for column, field in ACTOR.items() if field.startswith("provider.")))
"""The first record's actor has no cloud platform."""
OF_A_PRODUCT = Shape("data[0].results[0]", never_null=("model",))
"""Code execution is what has neither product nor model."""


def entity_of_gateway(endpoint: Endpoint) -> Shape:
    """The first entity of the recorded answer, whose name is the table's grain."""
    body = json.loads((ROOT / "fixtures" / "litellm" / endpoint.name / "recorded.json").read_text())
    name = next(iter(body["results"][0]["breakdown"]["entities"]))
    return Shape(f"results[0].breakdown.entities.{name}", elsewhere=f"{endpoint.row.grain[0]}=^", has_pages=False)


ITEMS_OF_A_DAY = Shape("usageItems[0]", elsewhere="unit unit_type", has_pages=False)
"""A unit is one of those that are known."""
TEXTS_OF_A_FILE = Shape("[0]", elsewhere="organization breakdown", optional_parts=("pull_requests",), has_pages=False)
SHAPES = {
    "anthropic.claude_code": Shape(
        elsewhere="model_breakdown estimated_cost_usd_cents=model_breakdown[0].estimated_cost.amount"
    ),
    "chatgpt.codex_usage": Shape(
        elsewhere="cut workspace_id shape code_attribution client_id=clients[0].client_id model=models[0].model "
        f"speed=models[0].speed {' '.join(f'{name}=totals.{name}' for name in MEASURES)}",
        optional_parts=("actor", "clients", "models"),
    ),
    "openai_legacy.billing_usage": Shape(
        "daily_costs[0].line_items[0]",
        elsewhere="cost_cents total_usage_cents",
        required="cost",
        never_null=("name",),
        has_pages=False,
    ),
    "openai_legacy.usage": Shape(
        elsewhere="list_name requests context_tokens generated_tokens images seconds characters model=snapshot_id "
        "cached_context_tokens=n_cached_context_tokens_total",
        required="n_requests",
        has_pages=False,
    ),
    "anthropic_analytics.usage": OF_AN_API_KEY,
    "anthropic_analytics.cost": OF_AN_API_KEY,
    "anthropic_analytics.usage_by_product": Shape(),
    "anthropic_analytics.cost_by_product": Shape(),
    "anthropic_analytics.usage_report": OF_A_PRODUCT,
    "anthropic_analytics.cost_report": OF_A_PRODUCT,
    "anthropic_analytics.user_usage_report": Shape(),
    "anthropic_analytics.user_cost_report": Shape(),
    "anthropic_analytics.users": Shape(
        elsewhere="claude_code_tool_actions office_metrics chat_cowork_unified_metrics",
        optional_parts=("claude_tag_metrics",),
        has_pages=False,
        names_days=False,
    ),
    "litellm.user_activity": Shape(
        "results[0]",
        elsewhere="cut api_key api_key_alias model=breakdown.models.claude-haiku-4-5.^ "
        "custom_llm_provider=breakdown.providers.openai.^ user_id=breakdown.entities.svc-helpdesk.^",
        never_null=("model", "custom_llm_provider", "user_id"),
        has_pages=False,
    ),
    **{
        endpoint.row.table: entity_of_gateway(endpoint)
        for provider, endpoint in OVER_HTTP.values()
        if provider.name == "litellm" and len(endpoint.row.grain) == 1
    },
    "openrouter.activity": Shape(elsewhere="stated_at", has_pages=False),
    "github_copilot.ai_credits": ITEMS_OF_A_DAY,
    "github_copilot.premium_requests": ITEMS_OF_A_DAY,
    "github_copilot.billing_usage": ITEMS_OF_A_DAY,
    "github_copilot.users_1_day": TEXTS_OF_A_FILE._replace(optional_parts=()),
    "github_copilot.organization_1_day": TEXTS_OF_A_FILE,
    "cursor.usage_events": Shape(
        "usageEvents[4]",
        elsewhere="kind kind_as_sent charge events events_without_price is_cloud_agent "
        "service_account_id service_account_name service_account_email",
        amount="chargedCents",
        optional_parts=("tokenUsage",),
        has_pages=False,
    ),
    "cursor.daily_usage": Shape(has_pages=False),
}
"""Endpoints whose answers are not buckets of rows."""
CURRENCY: Mapping[str, str] = {
    "openai.costs": "amount.currency",
    "anthropic.cost_report": "currency",
    "anthropic.claude_code": "model_breakdown[0].estimated_cost.currency",
    "anthropic_analytics.cost": "cost.currency",
    "anthropic_analytics.cost_report": "currency",
    "anthropic_analytics.user_cost_report": "currency",
}
"""Table -> where the currency of its first amount stands."""


@dataclass(frozen=True)
class Target:
    """An endpoint that a fault happens at."""

    provider: Provider
    endpoint: Endpoint

    @property
    def shape(self) -> str:
        """Endpoints of one shape are read by the same code."""
        table = self.endpoint.row.table
        return (
            f"{self.provider.name} {self.endpoint.item.__name__}"
            if table in SHAPES
            else f"{self.provider.name} buckets"
        )

    @property
    def is_summed(self) -> bool:
        """Whether several records become a row."""
        return self.endpoint.row.is_summed

    @property
    def says(self) -> Shape:
        """What is to know of its answers."""
        return SHAPES.get(self.endpoint.row.table, BUCKETS_OF_ROWS)

    def place(self, field: str) -> str:
        """Where a field of the first record stands in an answer."""
        return f"{self.says.record}.{field}"

    def sent(self, wanted: Callable[[Column], bool]) -> dict[str, str]:
        """Columns that the provider sends: name -> where the first record has it.

        A path that ends in ``^`` leads to the name of the object there.
        """
        row = self.endpoint.row
        own = dict(zip(row.__struct_fields__, row.__struct_encode_fields__, strict=True))
        spelled: dict[str, str | None] = {**own, **self.says.places}
        return {
            column.name: self.place(field)
            for column in columns(row)
            if column.name not in NOT_SENT and (field := spelled[column.name]) and wanted(column)
        }

    @property
    def amount(self) -> str:
        """Where the first record's amount stands, or a counter where there is no money; required if any is."""
        if stated := self.says.required or self.says.amount:
            return self.place(stated)
        measures = self.sent(lambda column: column.unit is not None and column.type in (Decimal, int))
        declared = {column.name: column for column in columns(self.endpoint.row)}
        rank = {name: (declared[name].nullable, declared[name].type is int) for name in measures}
        return measures[min(rank, key=lambda name: rank[name])]

    @property
    def said_amount(self) -> str:
        """How a message ends that names the place of the amount: a text of a file has no name."""
        return self.amount.removeprefix("[0]")

    @property
    def has_required_amount(self) -> bool:
        """Whether there is an amount or counter that every record must have."""
        return bool(self.says.required or self.sent(lambda column: column.unit is not None and not column.nullable))

    @property
    def names(self) -> dict[str, str]:
        """Columns of text that is kept as it was sent."""
        return self.sent(lambda column: column.type is str and column.address not in ("sent_unasked", "person_name"))

    @property
    def nullable(self) -> dict[str, str]:
        """Columns that may be unknown."""
        return self.sent(
            lambda column: column.nullable and not column.expected and column.name not in self.says.never_null
        )

    @property
    def expected(self) -> dict[str, str]:
        """Counters that the provider always sends."""
        return self.sent(lambda column: column.expected)

    @property
    def nullable_texts(self) -> dict[str, str]:
        """Columns of text that may be unknown."""
        nullable = self.nullable
        return {name: path for name, path in self.names.items() if name in nullable}


TARGETS = {name: Target(provider, endpoint) for name, (provider, endpoint) in OVER_HTTP.items()}


def shape(target: Target) -> Hashable:
    """Endpoints of one shape are read by the same code."""
    return target.shape


def amount_type(target: Target) -> Hashable:
    """Amounts of one type, in answers of one shape, are read by the same code."""
    row = {column.name: column for column in columns(target.endpoint.row)}
    measures = target.sent(lambda column: column.unit is not None)
    types = [row[name].type for name, path in measures.items() if path == target.amount]
    return target.shape, *types


def texts(target: Target) -> Hashable:
    """Texts of one kind, in answers of one shape, are read by the same code."""
    row = {column.name: column for column in columns(target.endpoint.row)}
    return target.shape, frozenset((row[name].address, row[name].nullable) for name in target.names)


class Scope(NamedTuple):
    """Where a fault can occur, as the table says it."""

    words: str
    includes: Callable[[Target], bool] = lambda _: True
    alike: Callable[[Target], Hashable] = shape
    """What endpoints have in common of which one stands for all: the code is the same."""

    @property
    def targets(self) -> dict[str, Target]:
        """The endpoints that the proof is made at."""
        found = {name: target for name, target in TARGETS.items() if self.includes(target)}
        first = {self.alike(target): name for name, target in reversed(found.items())}
        return {name: found[name] for name in sorted(first.values())}


TRANSPORT = Scope("every endpoint; transport")
SCOPES = {
    scope.words: scope
    for scope in (
        TRANSPORT,
        Scope("every endpoint; per shape"),
        Scope("every endpoint whose rows are records", lambda target: not target.is_summed),
        Scope("every endpoint whose rows are sums of records; per shape", lambda target: target.is_summed),
        Scope("every endpoint; per shape and type", alike=amount_type),
        Scope("every endpoint; per shape and kind of text", alike=texts),
        Scope(
            "every endpoint with has_more; per shape "
            "(not openai_legacy, github_copilot, cursor, gateways and engagement)",
            lambda target: target.says.has_pages,
        ),
        Scope(
            "every endpoint with has_more, but for buckets of openai and anthropic; per shape",
            lambda target: target.says.has_pages and not is_by_page(target.endpoint.row),
        ),
        Scope("buckets of openai and anthropic; per shape", lambda target: is_by_page(target.endpoint.row)),
        Scope(
            "every answer that names its days; per shape (engagement reports name none)",
            lambda target: target.says.names_days,
        ),
        Scope(
            "every endpoint with optional fields; per shape and kind of text (openai_legacy/billing_usage has none)",
            lambda target: bool(target.nullable),
            texts,
        ),
        Scope("endpoints with a bucket per day; per shape", lambda target: target.endpoint.bucket_per_day),
        Scope(
            "openai, chatgpt, anthropic_analytics; per shape (the others have no look-back, or no page tokens)",
            lambda target: bool(target.provider.lookback_days) and target.says.has_pages,
        ),
        Scope("endpoints with windows of several days; per shape", lambda target: target.endpoint.window_days > 1),
        Scope("anthropic_analytics; per shape", lambda target: target.provider.name == "anthropic_analytics"),
        Scope("reports behind links", lambda target: target.endpoint.row.table == "github_copilot.users_1_day"),
        Scope(
            "github_copilot/ai_credits, premium_requests, billing_usage; per shape",
            lambda target: target.says is ITEMS_OF_A_DAY,
        ),
        Scope("cursor/usage_events", lambda target: target.endpoint.row.table == "cursor.usage_events"),
        Scope("cursor/daily_usage", lambda target: target.endpoint.row.table == "cursor.daily_usage"),
        Scope(
            "anthropic_analytics/usage_report, cost_report; per shape",
            lambda target: target.endpoint.records is largest_groups,
        ),
        Scope(
            "engagement reports of anthropic_analytics; per shape",
            lambda target: target.endpoint in ENGAGEMENT_ENDPOINTS,
        ),
        Scope(
            "cuts of anthropic_analytics/usage and cost; per shape and type",
            lambda target: bool(target.endpoint.must_add_up) and not target.endpoint.control,
            amount_type,
        ),
        Scope(
            "every endpoint with optional text; per shape and kind of text (openai_legacy/billing_usage has none)",
            lambda target: bool(target.nullable_texts),
            texts,
        ),
        Scope(
            "endpoints that state a currency; per shape and type",
            lambda target: target.endpoint.row.table in CURRENCY,
            amount_type,
        ),
        Scope(
            "endpoints with counters that are always sent",
            lambda target: bool(target.expected),
            lambda target: (target.shape, *target.expected),
        ),
        Scope(
            "endpoints with required amounts, and openai_legacy; per shape and type",
            lambda target: target.has_required_amount,
            amount_type,
        ),
    )
}
"""Where a fault can occur, in the words of the table."""
# --- Faults -----------------------------------------------------------------------------------------------------------


def status(code: int, words: str = WORDS, **headers: str) -> Callable[[Target], Fault]:
    """An error in the provider's envelope."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda target: {
        "fault": "status",
        "status": code,
        "body": error_body(target.provider, words),
        "headers": named,
    }


def at_files(script: Callable[[Target], Fault]) -> Callable[[Target], Fault]:
    """Not where the links are asked for, but where they lead."""
    return lambda target: {"route": f"GET {REPORTS}/{target.endpoint.name}/", **script(target)}


def kind(name: str, **options: Any) -> Callable[[Target], Fault]:
    """A fault that needs to know nothing of the endpoint."""
    return lambda _: {"fault": name, **options}


def edit(*operations: Mapping[str, Any] | str) -> Fault:
    """The real answer, edited. An operation that has a path only may be a text: ``delete data[0]``."""
    named = [
        dict(zip(("do", "path"), each.split(maxsplit=1), strict=True)) if isinstance(each, str) else each
        for each in operations
    ]
    return {"fault": "edit", "operations": named}


def edited(*operations: Mapping[str, Any] | str) -> Callable[[Target], Fault]:
    """The same of every endpoint."""
    return lambda _: edit(*operations)


def put(path: str, value: Any) -> dict[str, Any]:
    """Set what stands at a path, or the name of the object there."""
    if path.endswith(".^"):
        return {"do": "rename", "path": path.removesuffix(".^"), "to": value}
    return {"do": "set", "path": path, "to": value}


def amount_is(text: str) -> Callable[[Target], Fault]:
    """The first amount, as JSON text."""
    return lambda target: edit({"do": "set", "path": target.amount, "raw": text})


def names_are(text: str) -> Callable[[Target], Fault]:
    """All names of the first record."""
    return lambda target: edit(*(put(path, text) for path in sorted(target.names.values(), key=_is_name)))


def long_strings(target: Target) -> Fault:
    """A long name, and an unknown field that is long, and is called so."""
    return edit(put(target.place(LONG), LONG), put(next(iter(target.names.values())), LONG))


def _is_name(path: str) -> bool:
    """What has another name is no longer found under the old one: names change last."""
    return path.endswith(".^")


def unknowns(target: Target) -> list[str]:
    """Every place of the first record that may be null or absent."""
    parts = [target.place(part) for part in target.says.optional_parts]
    return [*(path for path in target.nullable.values() if not path.startswith(tuple(parts))), *parts]


def nulls(target: Target) -> Fault:
    """Null in every nullable place of the first record."""
    return edit(*(put(path, None) for path in unknowns(target)))


def sparse(target: Target) -> Fault:
    """A first record without anything optional, as old ones are."""
    return edit(*(f"delete {path}" for path in unknowns(target)))


def outside(target: Target) -> Fault:
    """The first bucket or row is of the day after the window."""
    day = DAY + ONE_DAY
    seconds = {name: int(text) for name, text in unix_seconds(Window(day, day)).items()}
    midnights = rfc3339(Window(day, day))
    times = {**seconds, **midnights, "date": midnights["starting_at"]}
    return edit(
        *(put(f"data[0].{name}", moment) for name, moment in times.items()),
        put("daily_costs[0].timestamp", seconds["start_time"]),
        put("data[0].aggregation_timestamp", seconds["start_time"]),
        put("timePeriod.day", day.day),
        put("usageItems[0].date", str(day)),
        put("[0].day", str(day)),
        put("results[0].date", str(day)),
        put("usageEvents[0].timestamp", str(seconds["start_time"] * 1000)),
        put("data[0].day", str(day)),
    )


def reversed_order(_target: Target) -> Fault:
    """The last bucket or record first."""
    buckets = ("data", "data[*].results", "daily_costs", "daily_costs[*].line_items")
    return edit(*(f"reverse {path}" for path in (*buckets, "usageItems", "results", "usageEvents")))


def more(token: str | None) -> Callable[[Target], Fault]:
    """Another page is announced."""
    return edited(put("has_more", True), put("next_page", token))


# --- What happens -----------------------------------------------------------------------------------------------------


class Outcome(Enum):
    """What happens, and what is stored where that does not depend on the case."""

    RETRIED = ("retried after a pause, 6 attempts in all", "the same rows; if every attempt fails, nothing")
    READ_AGAIN = ("read again from the first page, once", "the same rows; if it happens again, nothing")
    MOVED = ("read again from the first page, 3 times at most", "the same rows; if it happens again, nothing")
    HALVED = ("requested in halves, down to one day", "the same rows; if a day is too large, nothing")
    PERMANENT = ("the run fails at once", "nothing")
    LATE = ("the day waits", "nothing")
    REFUSED = ("the run fails before it commits", "nothing")
    ACCEPTED = ("accepted", "")


OUTCOMES = {outcome.value[0]: outcome for outcome in Outcome}


class Change(NamedTuple):
    """What a fault has changed in the rows of a fetch."""

    fetched: FetchResult
    gone: Rows
    new: Rows


class Effect(NamedTuple):
    """What is stored of an answer that is accepted: in the table's words, and as a proof."""

    words: str
    holds: Callable[[Target, Change], bool] = lambda _target, change: not change.gone and not change.new


def _named(text: str) -> Callable[[Target, Change], bool]:
    return lambda target, change: (
        len(change.new) >= len(change.gone) > 0
        and all(any(row[name] == text for row in change.new) for name in target.names)
    )


def _without_counters(target: Target, change: Change) -> bool:
    return len(change.new) == 1 and all(change.new[0][name] is None for name in target.expected)


def _no_empty_text(_target: Target, change: Change) -> bool:
    return bool(change.new) and not any("" in row.values() for row in change.fetched.rows.to_pylist())


def _unknown(target: Target, change: Change) -> bool:
    return any(all(row[name] is None for name in target.nullable) for row in change.new)


def _other_fields(_target: Target, change: Change) -> bool:
    """Where a field stands may be said before its name: ``page.later``, ``row.brand_new``."""
    texts = [row["other_fields"] for row in change.new if row["other_fields"]]
    kept = [(name, value) for text in texts for name, value in json.loads(text).items()]
    found = {name.rpartition(".")[2] for name in change.fetched.unknown_fields}
    deep = [value for name, value in kept if name.rpartition(".")[2] == "brand_new"]
    return found == {"brand_new", "later"} and "{'deep': [1]}" in str(deep)


def _counted_fields(_target: Target, change: Change) -> bool:
    texts = [row["other_fields"] for row in change.new if row["other_fields"]]
    counts = [count for text in texts for name, count in json.loads(text).items() if name.endswith("brand_new")]
    return set(counts) == {1} and {name.rpartition(".")[2] for name in change.fetched.unknown_fields} == {"brand_new"}


def _long(target: Target, change: Change) -> bool:
    column = next(iter(target.names))
    return any(row[column] == LONG for row in change.new) and (
        target.is_summed or any(row["other_fields"] and row["other_fields"].count(LONG) == 2 for row in change.new)
    )


def _foreign(target: Target, change: Change) -> bool:
    return "EUR" in str(change.new) and _dollars(target, change.new) < _dollars(target, change.gone)


def _dollars(target: Target, rows: Rows) -> Decimal:
    """The daily totals of money, as the warehouse computes them."""
    table = pa.Table.from_pylist([*rows], schema=arrow_schema(target.endpoint.row))
    totals = [total.sql for total in target.endpoint.row.totals.values() if not total.by]
    query = f"select {', '.join(totals)} from found"
    return Decimal(sum(filter(None, duckdb.from_arrow(table).query("found", query).fetchall()[0])))


SAME = Effect("the same rows")


class DocumentedRow(NamedTuple):
    """A row of the table in docs/faults.md."""

    name: str
    where: str
    happens: str
    stored: str
    reads: str


@cache
def table() -> dict[str, DocumentedRow]:
    """The table: name -> row."""
    cells = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [DocumentedRow(*row) for row in cells if len(row) == len(DocumentedRow._fields)]
    return {row.name: row for row in rows[1:]}


@dataclass(frozen=True)
class Case:
    """How a row of the table is proven; the table says where it can occur and what happens."""

    script: Callable[[Target], Fault]
    name: str = ""
    kept: Effect = SAME
    once: tuple[int, ...] = (1,)
    """The calls that it happens to when it passes."""
    lasting: tuple[int, ...] | None = None
    """The calls that it happens to when it does not pass: all, unless stated."""
    raises: type[ProviderError] = PermanentError
    """What a fetch raises that fails for good."""
    days: int = 1
    small_pages: bool = False
    client: Mapping[str, Any] = field(default_factory=dict)
    """Options of the client."""
    patience: Mapping[str, Any] = field(default_factory=dict)
    """Options where the case passes: what is right afterwards must get through, however slow the machine is."""

    @property
    def row(self) -> DocumentedRow:
        """What the table says."""
        return table()[self.name]

    @property
    def where(self) -> Scope:
        """Where it can occur."""
        return SCOPES[self.row.where]

    @property
    def outcome(self) -> Outcome:
        """What happens."""
        return OUTCOMES[self.row.happens]

    @property
    def stored(self) -> str:
        """What is stored, as the table has to say it."""
        return self.outcome.value[1] or self.kept.words

    def endpoint(self, target: Target) -> Endpoint:
        """The endpoint as it is asked: in pages that are too small for the days, where the case needs more than one."""
        endpoint = target.endpoint
        if not self.small_pages:
            return endpoint
        return replace(endpoint, params={**endpoint.params, "limit": "1"}, queries=endpoint.queries[:1])


TOKEN_REFUSED = "The page token is invalid, have you modified the query parameters?"
IN_AN_HOUR, AN_HOUR_AGO = "Fri, 20 Nov 2026 09:00:00 GMT", "Fri, 20 Nov 2026 07:00:00 GMT"
NO_PAUSE = {"longest_delay": 0.001}
PROXY = f"""<!DOCTYPE html>
{"<!--[if lt IE 7]> <html class='no-js ie6 oldie'> <![endif]-->" * 40}
<head><title>api.anthropic.com | 525: SSL handshake failed</title></head>"""
"""As Cloudflare sends it, which has such lines before the title."""

CASES = [
    replace(case, name=name)
    for name, case in {
        "429 without Retry-After": Case(status(429)),
        "429, Retry-After in seconds": Case(status(429, retry_after="7"), client=NO_PAUSE),
        "429, Retry-After as a date": Case(status(429, retry_after=IN_AN_HOUR), client=NO_PAUSE),
        "429, a Retry-After that has passed": Case(status(429, retry_after=AN_HOUR_AGO)),
        "429, an unreadable Retry-After": Case(status(429, retry_after="soon")),
        "500": Case(status(500)),
        "502": Case(status(502)),
        "503": Case(status(503)),
        "connection reset": Case(kind("reset")),
        "connection lost within the body": Case(kind("break_off")),
        "slow headers": Case(
            kind("delay", seconds=5), client={"read_timeout": 0.2}, patience={"read_timeout": 1, "attempts": 5}
        ),
        "slow body": Case(
            kind("drip", seconds=0.1), client={"answer_timeout": 0.2}, patience={"answer_timeout": 1, "attempts": 5}
        ),
        "truncated JSON": Case(kind("truncate")),
        "empty body": Case(kind("replace", text="")),
        "HTML instead of JSON": Case(kind("html")),
        "HTML that says it is JSON": Case(kind("replace", text="<html></html>")),
        "JSON that says it is text": Case(kind("relabel", content_type="text/plain")),
        "JSON too deep to read": Case(kind("replace", text="[" * 100_000)),
        "JSON with a number beyond all exponents": Case(kind("replace", text='{"data": 1e99999999999999999999}')),
        "JSON that is no object": Case(kind("replace", body=[])),
        "JSON without data": Case(kind("replace", body={"has_more": False})),
        "JSON without has_more": Case(kind("replace", body={"data": []})),
        "400": Case(status(400)),
        "401": Case(status(401)),
        "403, a limited rate": Case(status(403, "API rate limit exceeded", retry_after="7"), client=NO_PAUSE),
        "403, the page of a proxy": Case(kind("status", status=403, body=PROXY)),
        "403, a missing scope": Case(status(403, "Missing scopes: api.usage.read.")),
        "404": Case(status(404)),
        "any other 4xx": Case(status(418)),
        "redirect": Case(status(302, location="https://example.com/")),
        "1 MB of refusal": Case(status(400, LONG)),
        "response cap": Case(status(400, "The response is too large: ask for fewer days"), days=4),
        "short pages": Case(kind("short_page", size=1), days=2),
        "repeated token": Case(kind("repeat_token")),
        "has_more without a token": Case(more(None)),
        "refused token": Case(
            status(400, TOKEN_REFUSED), once=(2,), lasting=(2, *range(4, 20)), days=2, small_pages=True
        ),
        "expired token": Case(
            status(410, "The cursor has expired."), once=(2,), lasting=(2, *range(4, 20)), days=2, small_pages=True
        ),
        "has_more over an empty tail, then 400 on the token": Case(more("page_tail"), lasting=(1, 3)),
        "look-back refusal on page 2": Case(
            status(400, "Usage and cost data are available for the past year."),
            lasting=(*range(2, 20),),
            days=2,
            small_pages=True,
        ),
        "bucket over two pages": Case(kind("split_bucket", bucket=0)),
        "the same rows twice": Case(edited("double data")),
        "the same day twice on a page": Case(edited("double data")),
        "missing bucket": Case(edited("delete data[0]"), days=2),
        "bucket outside the window": Case(outside),
        "figures that end before the day": Case(
            edited(put("data_refreshed_at", f"{DAY}T00:00:00Z")), raises=NotServedYetError
        ),
        "a bucket with 100 groups, which has lost the others": Case(edited(*["double data[0].results"] * 6)),
        "a cut that lacks a row": Case(edited("delete data[0]"), lasting=(1, 3)),
        "400, a day that is too recent": Case(
            status(400, f"date: {DAY} is too recent; the latest available day is {DAY - ONE_DAY}"),
            raises=NotServedYetError,
        ),
        "204, no report of the day": Case(status(204, ""), raises=NotServedYetError),
        "a report of no file": Case(kind("replace", body={"download_links": []}), raises=NotServedYetError),
        "a report of another day": Case(
            kind("replace", body={"download_links": ["https://example.com/"], "report_day": str(DAY + ONE_DAY)})
        ),
        "a link to http:// on another machine": Case(
            kind("replace", body={"download_links": ["http://example.com/secret"]})
        ),
        "an expired link": Case(
            at_files(status(403, "a link that is a secret")), raises=LinkRefusedError, once=(2,), lasting=(2, 4)
        ),
        "a link that redirects": Case(at_files(status(302, location="https://a.b/"))),
        "a file that fails with 500": Case(at_files(status(500))),
        "half a file": Case(at_files(kind("truncate"))),
        "an empty file": Case(at_files(kind("replace", text=""))),
        "fewer events than the answer states": Case(edited("delete usageEvents[0]"), raises=MovedError),
        "a page that says two things about what follows": Case(edited(put("pagination.hasNextPage", True))),
        "a kind of charge that nobody knows": Case(
            lambda target: edit(put(target.place("kind"), NEVER_SEEN), f"delete {target.place('isChargeable')}")
        ),
        "a billed event without any price": Case(
            lambda target: edit(
                put(target.place("kind"), "Usage-based"),
                *(f"delete {target.place(name)}" for name in ("chargedCents", "tokenUsage")),
            )
        ),
        "numbered pages that are not counted": Case(edited("delete pagination")),
        "a unit of Copilot that nobody knows": Case(
            lambda target: edit(put(f"{target.says.record}.unitType", NEVER_SEEN))
        ),
        "unordered buckets": Case(reversed_order, days=3),
        **{
            name: Case(amount_is(text))
            for name, text in lines("""
                NaN as an amount            NaN
                NaN in quotes as an amount  "NaN"
                1e400 as an amount          1e400
                true as an amount           true
                text as an amount           "free"
                null as an amount           null
            """)
        },
        "missing amount": Case(lambda target: edit(f"delete {target.amount}")),
        "missing counters": Case(
            lambda target: edit(*(f"delete {path}" for path in target.expected.values())),
            kept=Effect("null, never 0", _without_counters),
        ),
        "mixed currencies": Case(
            lambda target: edit(put(target.place(CURRENCY[target.endpoint.row.table]), "EUR")),
            kept=Effect("each amount with its currency; totals include only dollars", _foreign),
        ),
        "unknown fields": Case(
            lambda target: edit(
                put(target.place("brand_new"), {"deep": [1]}), put("later", True), put("[0].later", True)
            ),
            kept=Effect("the same rows, the fields in `other_fields`", _other_fields),
        ),
        "unknown fields of records that are added up": Case(
            lambda target: edit(put(target.place("brand_new"), {"deep": [1]})),
            kept=Effect("the same rows; `other_fields` says how many records have each field", _counted_fields),
        ),
        "unknown line items and other names": Case(
            names_are(NEVER_SEEN), kept=Effect("the names as sent", _named(NEVER_SEEN))
        ),
        "Unicode and control characters in names": Case(
            names_are(STRANGE), kept=Effect("every character", _named(STRANGE))
        ),
        "1 MB strings": Case(long_strings, kept=Effect("every character; previews show 60", _long)),
        "null in every nullable place": Case(nulls, kept=Effect("null, never 0", _unknown)),
        "empty text in every nullable place": Case(
            lambda target: edit(*(put(path, "") for path in target.nullable_texts.values())),
            kept=Effect("null: otherwise one id could be both empty and null", _no_empty_text),
        ),
        "old rows without anything optional": Case(sparse, kept=Effect("null, never 0", _unknown)),
    }.items()
]


def places(*, stored: bool) -> Iterator[tuple[Case, str]]:
    """Each case, at the endpoints that it is proven at.

    What the transport does knows no shape: such cases are proven at one shape after the other. What is stored of a
    fetch knows none either, and is proven at the first one. A run that fails knows no case, and one that stores the
    same rows: the first of each outcome stands for all.
    """
    first = {case.outcome: case for case in reversed(CASES)}
    for number, case in enumerate(CASES):
        is_known = case.kept is SAME and case.outcome is not Outcome.REFUSED
        if stored and is_known and case is not first[case.outcome]:
            continue
        names = [*case.where.targets]
        by_shape = [*{TARGETS[name].shape: name for name in names}.values()]
        if case.where is TRANSPORT or stored:
            names = [by_shape[0 if stored else number % len(by_shape)]]
        yield from ((case, name) for name in names)
