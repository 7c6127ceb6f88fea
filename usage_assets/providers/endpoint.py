"""What an endpoint is: data. The one client reads these declarations; a new endpoint adds no code to it."""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import httpx
import msgspec

from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.core.schema import Row
from usage_assets.providers.auth import bearer
from usage_assets.providers.derived import Entities, SourceRows
from usage_assets.providers.files import FileReport
from usage_assets.providers.listed import Listed
from usage_assets.providers.lookup import Lookup
from usage_assets.providers.pages import Pages, with_one_name
from usage_assets.providers.paths import parameters_of, path_of
from usage_assets.providers.records import Item, Json, Records

SURFACE = 2
"""The version of what ``usage_assets.provider`` offers. It changes where a name goes or means something else."""


PAGES_A_DAY = 100
"""A day has so many pages in any case: a bucket that is split, or pages that are smaller than was asked for."""
PAGE_SIZE = 100
"""Rows of a page where the endpoint asks for no size."""
SIZES = ("limit", "page_size", "per_page")


@dataclass(frozen=True, kw_only=True)
class Each:
    """What an answer names and must be asked for one by one: only then it says what both have in common."""

    parameter: str
    """The parameter that narrows the answer down to one of them."""
    named_in: Callable[[Json], Iterable[str]]
    """The names in a page of the answer to a window, as it is sent."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a provider says that it does not group by something, for some days or at all.

    ``pattern`` matches the message of the refusal; a named group ``since`` (unix seconds) says from when on it would.
    A refusal that names no time is ``for_good``, or it is about some days of the window, which then are searched for.
    """

    pattern: re.Pattern[str]
    """It may have a group ``since``."""
    drops: tuple[str, ...]
    """The dimensions that the request leaves out then."""
    for_good: bool = False
    """Whether the API does not know the dimension, so that no day can be grouped by it."""

    def first_day(self, refused: re.Match[str]) -> date | None:
        """The first whole day that may be grouped, where that is known."""
        if self.for_good:
            return date.max
        since = refused.groupdict().get("since")
        try:
            return (datetime.fromtimestamp(int(since) - 1, UTC) + DAY).date() if since else None
        except (ValueError, OverflowError, OSError):  # no time at all: then it is about some days
            return None


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What rows add up to, per day and currency. The same days, requested without grouping, must state the same sums:
    otherwise the days are refused."""

    measures: tuple[str, ...]
    """The columns that are added up."""
    currency: str | None = None
    """The column that holds it, if a measure has one."""


@dataclass(frozen=True, kw_only=True)
class Control(Sums):
    """Sums of money that nothing else states. They are stored, and a check shows the days that differ: somebody has to
    ask the provider which of its answers is right."""

    row: type[Row]
    """One row per day and currency; its columns are called as in the endpoint's rows."""
    currency: str
    """The column that holds it."""

    @property
    def amount(self) -> str:
        [amount] = self.measures
        return amount


@dataclass(frozen=True, kw_only=True)
class Endpoint(Listed):
    """One list endpoint of a provider: how to ask it, how many days a window may have, what its rows are."""

    group: str
    """Asset group, as the provider's own pages call it: one or two short words."""
    row: type[Row]
    """What is stored. Its table is ``<provider>.<endpoint>``."""
    item: type[Item]
    """An item of a page's ``data``: what is read of it before it is split into records."""
    records: Records
    """Splits an item into the fields of rows (``results``, or a function of your own)."""
    page: Pages | None = None
    """How its answers are split into pages (``OneDay``, ``Cursors``, ``Numbers``), unless each is ``{data, has_more,
    next_page}``."""
    links: Callable[[Json, Window], Sequence[str]] | None = None
    """The links in the answer, where it only says which files hold the report (``page_of_lines``). They lead to another
    host, to which the key is never sent. The files are the parts of one report."""
    answer: type[msgspec.Struct] | None = None
    """The model of an answer in another form, where a person's id may be the name of an object in it."""
    window_days: int
    """How many days a request may cover; 1: it answers for a single day."""
    window_params: Callable[[Window], Mapping[str, str]]
    """How a request spells a window: ``rfc3339``, ``unix_seconds`` or a function of your own."""
    group_by: tuple[str, ...] = ()
    """Dimensions that are requested, as they are sent (``project_id``). Each is a column of the grain."""
    details: str = ""
    """The dimension that all other dimensions of its rows, but the currency, come with: without it they are null."""
    filters: tuple[str, ...] = ()
    """Parameters that narrow the answer down, as they are sent (``project_ids[]``, ``batch``): a connection may set
    them, without the ``[]``."""
    queries: tuple[Mapping[str, str], ...] = ({},)
    """Variants that are requested for each window, one chain of pages each."""
    each: Each | None = None
    """What is requested one by one: the pages of each are its answer, and those that name them are not read as rows."""
    bucket_per_day: bool
    """Whether a complete answer has a bucket for every day, also for an empty one."""
    refusals: tuple[Refusal, ...] = ()
    """How it refuses to group by something."""
    must_add_up: Sums | None = None
    """Sums that grouping must not change: of money (``Control``), and of rows that show stored usage once more."""
    files: FileReport | None = None
    """How its files are read, where it is delivered as files."""
    cross_check: type[Row] | None = None
    """Rows of another endpoint that cover the same usage; a check compares each day with them: of the provider that
    the table is called after."""
    newer: "Endpoint | None" = None
    """A newer report of the same name and bill; each of its columns is one of ``row``. Both are read. Its rows of a day
    are stored, unless they state less."""
    part_of: str = ""
    """The table whose money its rows show once more, or a part of it. They are in no cost, and the doctor says so."""
    seen_live: bool = True
    """Whether its shape is known from real answers or official examples, and not only from a description."""
    lookback_days: int | None = None
    """How far back it serves, where that is less than its provider does."""
    first_day: date | None = None
    """The day before which it serves nothing, where that is later than its provider's."""
    rows_a_day: int = 200_000
    """More rows than a day of the largest customer has: it bounds the pages that are read. Of buckets, 100 pages do."""
    empty_page: str = ""
    """Why a page may be empty though others follow; once in an answer. Without a reason, it is refused."""
    may_lack_days: bool = False
    """Whether days may have no answer for good. What is computed from it does not wait for them, and is computed again
    where one comes."""

    def __post_init__(self) -> None:
        """Let both say the same name of the items."""
        page, items = with_one_name(self.page, self.items)
        object.__setattr__(self, "page", page)
        object.__setattr__(self, "items", items)

    def most_pages(self, days: int) -> int:
        """How many pages the answer to a window of so many days can have."""
        size = next((int(self.params[name]) for name in SIZES if self.params.get(name, "").isdigit()), PAGE_SIZE)
        a_day = PAGES_A_DAY if self.bucket_per_day else max(PAGES_A_DAY, self.rows_a_day // max(size, 1))
        return PAGES_A_DAY + a_day * days

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The ids that its paths need: all of ``path``, or all of ``or_path``."""
        return tuple(dict.fromkeys((*parameters_of(self.path), *parameters_of(self.or_path or ""))))

    def needed_ids(self, ids: Collection[str]) -> tuple[str, ...]:
        """The ids that its path needs of a connection that states these."""
        return parameters_of(path_of((self.path, self.or_path), ids))

    @property
    def filter_names(self) -> frozenset[str]:
        """The settings of a connection that narrow its answer down."""
        return frozenset(parameter.removesuffix("[]") for parameter in self.filters)

    def path_in(self, ids: Mapping[str, str]) -> str:
        """The path as a connection with these ids asks for it."""
        path = path_of((self.path, self.or_path), ids)
        return path.format(**{name: quote(ids.get(name, ""), safe="") for name in parameters_of(path)})

    def serves(self, day: date) -> bool:
        """Whether the day is over and within the limits that are stated here."""
        today = utc_today()
        reach = date.min if self.lookback_days is None else today - self.lookback_days * DAY
        return max(reach, self.first_day or date.min) <= day < today

    @property
    def control(self) -> Control | None:
        """The control totals, where they are stored."""
        return self.must_add_up if isinstance(self.must_add_up, Control) else None

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that its answer is stored in: that of the rows, and that of the control totals."""
        return (self.row.table, *([self.control.row.table] if self.control else []))

    @property
    def ungrouped(self) -> "Endpoint":
        """The same request without grouping, from which the control totals are added up."""
        newer = self.newer and self.newer.ungrouped
        return replace(self, group_by=(), refusals=(), must_add_up=None, newer=newer)


@dataclass(frozen=True, kw_only=True)
class CostSource(SourceRows):
    """A table that costs are computed from (``sql/daily_costs/``), and what they add up to: ``columns`` names
    ``native_amount``, with ``currency``, ``native_unit`` and ``cost_basis`` where it is not billed in dollars, and each
    other amount that ``costs_stated`` names."""

    table: str
    """The table of an endpoint."""
    total: str = "if(measure = 'native_amount', cost_basis, replace(measure, '_', ' '))"
    billed_totals: str | None = None
    """Which totals of its days are billed, as a GLOB: a restated one corrects an invoice. None: it holds estimates."""
    beside: tuple[str, ...] = ()
    """Tables that its query reads, too, such as those that may hold the same charges. Its costs do not wait for their
    days, and are computed again when a day is there."""
    charge: str | None = None
    """What FOCUS calls a charge of it that has neither a line item nor a model."""
    splits_line_items: bool = False
    """Whether its line items are split into model and kind of usage. Those that cannot be split are counted."""
    is_focus: bool = False
    """Whether its rows are charges of FOCUS: ``sql/focus_rows/`` gives them to the export as they are."""


@dataclass(frozen=True, kw_only=True)
class BilledAs:
    """How bills of other vendors, such as a cloud's, name what a provider bills. ``*`` stands for any text; case does
    not matter."""

    services: tuple[str, ...]
    """A charge that names one of these is of this provider, whoever sells it."""
    sellers: tuple[str, ...] = ()
    """A charge whose service no provider claims is of the provider whose company sells it."""


def error_message(body: object) -> str | None:
    """The message of ``{"error": {"message": ...}}``, the error body of OpenAI and Anthropic."""
    match body:
        case {"error": {"message": str(message)}}:
            return message
    return None


@dataclass(frozen=True, kw_only=True)
class TierPrice:
    """The list price of a tier as a multiple of the standard one, where the provider publishes it so. It counts where
    genai-prices has no price of the tier."""

    tier: str
    """As usage reports state it."""
    multiple: Decimal
    """List price of the tier, divided by the standard one."""
    since: date
    """The first day that it counts for."""
    source: str
    """The page that states it."""


def folder_of(module: str) -> Path:
    """Return the folder of an imported module."""
    return Path(str(sys.modules[module].__file__)).parent


_ANSWER = r"\b(response|results?|output|answer|rows|groups|records|data)\b"
_LARGE = r"\b(too (large|big|long|many|much)|exceed\w*|more than|maximum)\b"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One provider's API: where it is, how it knows us, how it complains, how far back it remembers."""

    name: str
    """The name of its entry point, its schema and its default connection: lower case, digits and ``_``."""
    surface: int
    """The ``SURFACE`` that it is written for."""
    module: str
    """``__name__`` of the module that declares it: ``sql/`` and ``blueprints/`` are beside that module."""
    position: int = 1000
    """Its place in lists, which decides its color. The built-in providers come first."""
    base_url: str = ""
    """Where it is, unless each company has its own."""
    base_url_variable: str = ""
    """The environment variable with the base URL of all connections that name none. Empty: there is no HTTP."""
    company: str
    """Who bills, as FOCUS names it."""
    service: str
    """What is billed, as FOCUS names it."""
    billed_as: BilledAs | None = None
    """How bills of other vendors name what it bills."""
    develops_models: bool = False
    """Whether this company has made the models that it bills, as FOCUS asks (``ModelDeveloper``)."""
    tier_prices: tuple[TierPrice, ...] = ()
    """Prices of tiers that are a multiple of the standard price."""
    sub_account_type: str
    """What FOCUS calls a project or workspace of an organization."""
    default_sub_account: str | None = None
    """What people call the project or workspace that has no id. None: each has one."""
    auth: Callable[[str], httpx.Auth] = bearer
    """Makes from a key what authenticates a connection's requests."""
    key_variable: str | None = None
    """The environment variable with the key of the default connection, which is called like the provider. None: it has
    no default connection."""
    id_variables: Mapping[str, str] = field(default_factory=dict)
    """Setting of a connection (``workspace_id``) -> environment variable with that of the default connection."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What every request sends besides, such as the API's version."""
    scope_headers: Mapping[str, str] = field(default_factory=dict)
    """Setting of a connection (``organization``, ``project``) -> header that carries it."""
    error_message: Callable[[object], str | None] = error_message
    """The message in a decoded error body, or None where the body has none."""
    advice: Mapping[int, str]
    """What to do about a status, in words for the user (401: which variable to look at, 403: which scope)."""
    endpoints: tuple[Endpoint, ...]
    """Reports of usage and costs: an asset and a table each."""
    lookups: tuple[Lookup, ...] = ()
    """Lists that say what ids stand for."""
    costs: tuple[CostSource, ...] = ()
    """The tables that have money."""
    allocations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Table of costs that bills more than one API key or person in a row -> tables that say who used it. The query is
    ``sql/allocated_costs/<provider>_allocated_costs.sql``."""
    people_ids: Literal["id", "login", "local"] = "id"
    """What ``user_id`` is in costs and usage, where it is no address: the provider's own id of a person, a login, which
    is the same in any case, or a name that a connection's administrators have chosen."""
    tags: str = ""
    """Of a gateway: the endpoint that says what each tag used of each model (``sql/tags/``)."""
    entities: tuple[Entities, ...] = ()
    """What is pushed to Port."""
    is_published: bool = False
    """Whether Port's published mappings have its entities: those of its default connection are called as there. The
    names of all others begin with their connection."""
    requests_per_minute: float | None = None
    """How often it may be asked, where it says so and a connection does not."""
    settling_days: int
    """How long after a day's end the provider still changes it. None of them promises a figure: a connection may set
    another one."""
    lookback_days: int | None = None
    """How many days back it serves. None: no limit is known."""
    first_day: date | None = None
    """The day before which it serves nothing, however long ago that is."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Setting of a connection (``organization``) -> what the numbers of a connection that states it do not cover."""
    names_organization: bool = False
    """Whether a connection may name its organization although no request has it: it says which connections tell
    of the same use."""
    superseded_by: str | None = None
    """The provider that bills the same usage. If it has costs of the same organization on a day, that day has no costs
    here, and none in entities that both have (``ledger.superseded_days``), so that no usage is counted twice."""
    token_refused: re.Pattern[str] = re.compile(
        r"\b(page|token|cursor)\b.*\b(invalid|expired|modified)\b|\b(invalid|expired)\b.*\b(page|token|cursor)\b", re.I
    )
    """Matches the message that refuses a page token; the window then starts again, once."""
    too_recent: re.Pattern[str] | None = None
    """Matches the message that refuses days that are too recent. It names the latest day that is served."""
    too_large: re.Pattern[str] = re.compile(rf"{_ANSWER}.*{_LARGE}|{_LARGE}.*{_ANSWER}", re.I)
    """Matches the message that refuses a window for the size of its answer, which is then halved. Anthropic does so to
    31 days in all dimensions; its words are not known, so this is generous: a mistake costs a few requests."""

    @property
    def reads_files(self) -> bool:
        """Whether its connections read files instead of an API."""
        return any(endpoint.files for endpoint in self.endpoints)

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The settings of a connection that paths may need."""
        return tuple(dict.fromkeys(name for endpoint in self.endpoints for name in endpoint.path_parameters))

    def needed_ids(self, ids: Collection[str]) -> tuple[str, ...]:
        """The settings that paths need of a connection that states these ids. They tell accounts apart; where there is
        none, the key does."""
        return tuple(dict.fromkeys(name for endpoint in self.endpoints for name in endpoint.needed_ids(ids)))

    @property
    def words(self) -> Iterator[str]:
        """What is no secret, although a key may have a part of it: advice, headers that all requests have, paths."""
        yield from (*self.advice.values(), *self.headers.values())
        for endpoint in self.endpoints:
            yield from (endpoint.name, endpoint.path, *endpoint.headers.values())

    @property
    def sql(self) -> Path:
        """The folder of its queries: a part of models/sql."""
        return folder_of(self.module) / "sql"

    @property
    def ids(self) -> tuple[str, ...]:
        """The settings of a connection that say whose usage is fetched."""
        named = ("organization",) if self.names_organization else ()
        return tuple(dict.fromkeys((*self.scope_headers, *named, *self.path_parameters)))
