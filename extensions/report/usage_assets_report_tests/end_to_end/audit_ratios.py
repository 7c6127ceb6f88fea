"""What unit costs and what-if must say: both sides of each ratio from the same rows of the books.

Prices are written here by hand, from the providers' public pages, so that a wrong lookup of prices shows.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import chain
from typing import Any, NamedTuple

from usage_assets.providers import PROVIDERS
from usage_assets_report_tests.end_to_end import audit_sources, audit_views
from usage_assets_report_tests.end_to_end.audit_books import Keeper
from usage_assets_report_tests.end_to_end.audit_insights import IDS
from usage_assets_report_tests.end_to_end.audit_sums import DAILY, Row, added, by, differing, keyed, picked, total

BASES = ("billed", "credits", "estimated", "notional")

# --- Unit costs -------------------------------------------------------------------------------------------------------


class Made(NamedTuple):
    """What was made on a day with a tool. None: a row lacks the counter."""

    connection: str
    day: date
    source: str
    metric: str
    quantity: Decimal | None
    bases: Sequence[str] = BASES
    """The costs that it is set against."""
    cost_source: str | None = None
    """Where these are, if not all costs of the connection are."""
    left_out: Decimal | None = None
    """Dollars of rows that do not say for how many of their requests they are: neither is in the ratio."""


def _counted(rows: Iterable[Row], column: str) -> Decimal | None:
    counts = [row[column] for row in rows]
    return None if None in counts else Decimal(sum(counts))


def _thousands(rows: Iterable[Row], column: str = "requests") -> Decimal | None:
    count = _counted(rows, column)
    return None if count is None else count / 1000


Counts = Iterator[tuple[str, Sequence[str], Decimal | None]]
"""Metric, the bases that it is set against, and quantity."""


def _claude_code(rows: Sequence[Row]) -> Counts:
    columns = {"commits": "commits", "pull_requests": "pull_requests", "accepted_lines": "lines_added"}
    for basis, is_api in (("estimated", True), ("notional", False)):
        own = [row for row in rows if (row["customer_type"] == "api") is is_api]
        for metric, column in columns.items():
            yield metric, [basis], _counted(own, column)


def _cursor_events(rows: Sequence[Row]) -> Counts:
    for basis, charge in (("billed", "billed"), ("notional", "included")):
        yield "thousand_requests", [basis], _thousands((row for row in rows if row["charge"] == charge), "events")


def _cursor_people(rows: Sequence[Row]) -> Counts:
    yield "accepted_lines", BASES, _counted(rows, "accepted_lines_added")


def _copilot(rows: Sequence[Row]) -> Counts:
    for metric, column in (("merged_pull_requests", "prs_merged_by_copilot"), ("accepted_lines", "loc_added_sum")):
        yield metric, BASES, _counted(rows, column)


def _router(rows: Sequence[Row]) -> Counts:
    yield "thousand_requests", ["billed"], _thousands(row for row in rows if not row["byok_usage_inference"])


def _mixed(rows: Sequence[Row]) -> Decimal | None:
    """Dollars of rows of OpenRouter with an own key: nobody knows how many of their requests were on credits."""
    dollars: Decimal | None = total(row["usage"] for row in rows if row["usage"] and row["byok_usage_inference"])
    return dollars


ACTIVITY = {
    "anthropic.claude_code": _claude_code,
    "cursor.usage_events": _cursor_events,
    "cursor.daily_usage": _cursor_people,
    "github_copilot.organization_1_day": _copilot,
    "openrouter.activity": _router,
}
REQUESTS = {
    endpoint.row.table
    for endpoint in PROVIDERS["openai"].endpoints
    if endpoint.row.table.startswith("openai.usage_")
    and endpoint.name not in ("usage_vector_stores", "usage_code_interpreter_sessions")
}
"""OpenAI's reports that count requests."""


def made(keeper: Keeper) -> Iterator[Made]:
    """What was made with each tool on each day on which no report of it is missing."""
    for (table, _, connection, day), stored in keeper.days.items():
        for metric, bases, quantity in ACTIVITY[table](stored.rows) if table in ACTIVITY else ():
            own_costs = table if table == "anthropic.claude_code" else None
            left_out = _mixed(stored.rows) if table == "openrouter.activity" else None
            yield Made(connection, day, table, metric, quantity, bases, own_costs, left_out)
    for connection in keeper.accounts:
        reports = _parts(keeper, connection, lambda table: table in REQUESTS)
        for day in sorted({*chain(*reports.values())}):
            if _is_complete(reports.values(), day):
                counted = [table for table, _ in reports if table in audit_sources.USAGE]
                used = chain(*(keeper.days[table, "", connection, day].rows for table in counted))
                requests = _thousands(used, "num_model_requests")
                yield Made(connection, day, "openai.usage_*", "thousand_requests", requests)
    people = by(audit_views.active_people(keeper), "connection usage_date source cost_basis cost_source")
    for (connection, day, source, basis, costs), rows in people.items():
        count = Decimal(len({row["person_id"] for row in rows} - {None}))
        yield Made(connection, day, source, "active_people", count, [basis] if basis else BASES, costs)


def unit_costs(keeper: Keeper, parts: Sequence[Row], metrics: Sequence[Row]) -> Iterator[Row]:
    """costs.unit_costs: ``parts`` are the rows of costs.allocated_costs_named, ``metrics`` what users count."""
    costs = keeper.rows(DAILY)
    of_connections = by(costs, "connection usage_date cost_basis")
    of_sources = by(costs, "connection usage_date cost_basis source_table")
    stored = {name: _parts(keeper, name, lambda table: table == DAILY).values() for name in keeper.accounts}
    for each in made(keeper):
        for basis in each.bases:
            key = (each.connection, each.day, basis)
            rows = of_sources.get((*key, each.cost_source), ()) if each.cost_source else of_connections.get(key, ())
            yield {
                **picked(each._asdict(), "usage_date=day scope_id=connection source cost_source metric quantity"),
                "scope_type": "connection",
                "provider": keeper.accounts[each.connection].provider,
                "cost_basis": basis,
                **_without(_dollars(rows, is_complete=_is_complete(stored[each.connection], each.day)), each.left_out),
            }
    billed = [row for row in parts if row["cost_basis"] == "billed"]
    for metric in metrics:
        kind, id_, day = metric["scope_type"], metric["scope_id"], metric["usage_date"]
        rows = [row for row in billed if kind == "all" or _place(kind, row) == id_]
        sources = stored[id_] if kind == "connection" else [*chain(*stored.values())]
        of_day = [row for row in rows if row["usage_date"] == day]
        unknown = {"amount_usd": None, "usd_reason": f"{kind} without stored costs"}
        yield {
            **picked(metric, "usage_date scope_type scope_id metric quantity=value"),
            "source": "accounting.metrics",
            "cost_basis": "billed",
            **(_dollars(of_day, is_complete=_is_complete(sources, day)) if rows else unknown),
        }


def _parts(
    keeper: Keeper, connection: str, is_one: Callable[[str], bool]
) -> Mapping[tuple[str, str], Collection[date]]:
    """The days of some tables of a connection, and of each part of them."""
    days: dict[tuple[str, str], set[date]] = defaultdict(set)
    for table, part, of, day in keeper.days:
        if of == connection and is_one(table):
            days[table, part].add(day)
    return days


def _is_complete(parts: Iterable[Collection[date]], day: date) -> bool:
    """Whether all that have begun have the day."""
    begun = [days for days in parts if min(days) <= day]
    return bool(begun) and all(day in days for days in begun)


def _dollars(rows: Iterable[Row], *, is_complete: bool) -> Row:
    """What rows cost; nothing is known of it where an amount has no dollars, or a source has not stored the day."""
    if not is_complete:
        return {"amount_usd": None, "usd_reason": "a source of costs is missing"}
    rows = list(rows)
    if any(row["amount_usd"] is None and row["native_amount"] for row in rows):
        return {"amount_usd": None, "usd_reason": "an amount has no dollar value"}
    return {"amount_usd": added(rows, "amount_usd") or Decimal(0), "usd_reason": None}


def _place(kind: str, row: Row) -> str | None:
    return row["project_id"] or row["workspace_id"] if kind == "project" else IDS[kind](row)


def _without(dollars: Row, left_out: Decimal | None) -> Row:
    """The dollars without some that are named."""
    if left_out is None:
        return dollars
    known = dollars["amount_usd"]
    rest = None if known is None else total((known, -left_out))
    return {**dollars, "amount_usd": rest, "left_out_usd": left_out, "left_out_reason": MIXED}


MIXED = "own keys and credits in one row"
SERIES = "scope_type scope_id source metric cost_basis"
OF_DAY = f"usage_date {SERIES}"


def wrong_days(found: Iterable[Row], expected: Iterable[Row]) -> Iterator[str]:
    """A line for each figure of costs.unit_costs that is not what the books say."""
    both = [keyed(rows, OF_DAY) for rows in (found, expected)]
    for key in sorted(both[0].keys() | both[1].keys(), key=str):
        found_row, books = (rows.get(key) for rows in both)
        what = f"unit costs of {', '.join(map(str, key))}"
        if found_row is None or books is None:
            yield f"{what}: {'found' if found_row else 'expected'} alone"
        else:
            yield from differing(what, found_row, {name: books.get(name) for name in found_row})


def of_period(rows: Iterable[Row], people: Iterable[Row]) -> Mapping[tuple[str, ...], tuple[Decimal, Decimal, int]]:
    """Scope, source, metric and basis -> dollars and quantity of the days that have both, and how many these are.

    ``people`` are the rows of costs.active_people: in a period, each person counts once.
    """
    active = by(people, "connection source cost_basis")
    sums = {}
    for key, same in by(rows, SERIES).items():
        both = [row for row in same if row["amount_usd"] is not None and row["quantity"] is not None]
        quantity = added(both, "quantity")
        if key[3] == "active_people" and both:
            days = {row["usage_date"] for row in both}
            seen = [*active.get((key[1], key[2], key[4]), ()), *active.get((key[1], key[2], None), ())]
            quantity = Decimal(len({row["person_id"] for row in seen if row["usage_date"] in days} - {None}))
        sums[key] = (added(both, "amount_usd"), quantity, len(both))
    return sums


def wrong_unit_costs(
    shown: Iterable[Row],
    rows: Sequence[Row],
    people: Sequence[Row],
    first: date,
    last: date,
    before_first: date,
    before_same: date,
) -> Iterator[str]:
    """A line for each figure of the report's unit costs that the rows of its days do not make."""
    spans = ((first, last), (before_first, before_same))
    pairs = _pairs(rows, *spans)
    books, same, before = (
        {
            (_called(*key[:2]), key[2], key[3].replace("_", " "), key[4]): sums
            for key, sums in of_period(each, [row for row in people if begin <= row["usage_date"] <= end]).items()
            if key[2] == "accounting.metrics" or key[4] == "billed" or sums[0]
        }
        for (begin, end), each in (
            (spans[0], [row for row in rows if first <= row["usage_date"] <= last]),
            *(
                (
                    span,
                    [
                        row
                        for row in rows
                        if _is_within(row, span) and (_series(row), row["usage_date"] - span[0]) in pairs
                    ],
                )
                for span in spans
            ),
        )
    )
    found = keyed(shown, "scope source metric cost_basis")
    for key in sorted(books.keys() ^ found.keys()):
        yield f"unit cost {', '.join(key)}: {'found' if key in found else 'expected'} alone"
    for key in books.keys() & found.keys():
        dollars, quantity, days = books[key]
        expected = {
            "usd": dollars,
            "quantity": quantity,
            "days_with_both": days,
            "usd_per_unit": _each(dollars, quantity),
            "usd_per_unit_on_same_days": _each(*same[key][:2]) if key in same else None,
            "usd_per_unit_before": _each(*before[key][:2]) if key in before else None,
        }
        yield from differing(f"unit cost {', '.join(key)}", found[key], expected)


def _pairs(rows: Sequence[Row], *spans: tuple[date, date]) -> set[tuple[Any, ...]]:
    """Series and place in the period, of the days that have both in each of the two."""
    now, before = (
        {
            (_series(row), row["usage_date"] - span[0])
            for row in rows
            if _is_within(row, span) and row["amount_usd"] is not None and row["quantity"] is not None
        }
        for span in spans
    )
    return now & before


def _is_within(row: Row, span: tuple[date, date]) -> bool:
    return bool(span[0] <= row["usage_date"] <= span[1])


def _series(row: Row) -> tuple[object, ...]:
    return tuple(picked(row, SERIES).values())


def _each(dollars: Decimal | None, quantity: Decimal | None) -> Decimal | None:
    """Dollars per unit; None if either is nothing."""
    if not dollars or not quantity:
        return None
    with localcontext(prec=80):
        return (dollars / quantity).quantize(Decimal("1e-6"), ROUND_HALF_UP)


def _called(kind: str, id_: str) -> str:
    return {"all": "everything", "connection": id_}.get(kind, f"{kind} {id_}")


# --- What-if ----------------------------------------------------------------------------------------------------------


class Price(NamedTuple):
    """Dollars of a million tokens."""

    input: Decimal
    read: Decimal
    write_5m: Decimal
    write_1h: Decimal
    output: Decimal
    since: date = date.min

    def of(self, tokens: "Tokens", cached_share: Decimal | None) -> Decimal:
        """What tokens cost. What is written to the cache stays as it was, whatever share is read from it."""
        written = tokens.write_5m + tokens.write_1h
        read = Decimal(tokens.read)
        if cached_share is not None:
            read = min(tokens.input * cached_share, Decimal(tokens.input - written))
        parts = (
            (tokens.input - written - read, self.input),
            (read, self.read),
            (tokens.write_5m, self.write_5m),
            (tokens.write_1h, self.write_1h),
            (tokens.output, self.output),
        )
        return sum((count * price for count, price in parts), Decimal(0)).scaleb(-6)


class Tokens(NamedTuple):
    """What a model read and wrote at one tier of a day. Input includes what is read from the cache or written to it."""

    tier: str
    input: int
    read: int
    write_5m: int
    write_1h: int
    output: int


def _claude(usd: str, half: int = 1) -> Price:
    """A price of Anthropic: cache reads are a tenth of the input, writes 1.25 (5 minutes) and 2 (1 hour), output 5."""
    price = Decimal(usd) / half
    read, write_5m, write_1h, output = (price * Decimal(times) for times in ("0.1", "1.25", "2", "5"))
    return Price(price, read, write_5m, write_1h, output)


def _gpt(input_: str, cached: str, output: str, since: date = date.min) -> Price:
    """A price of OpenAI: what is written to the cache costs as much as any input."""
    return Price(Decimal(input_), Decimal(cached), Decimal(input_), Decimal(input_), Decimal(output), since)


LIST = {
    # https://platform.claude.com/docs/en/about-claude/pricing: model pricing, and batch processing at half of it
    ("claude-opus-5", "standard"): _claude("5"),
    ("claude-opus-5", "batch"): _claude("5", 2),
    ("claude-sonnet-5", "standard"): _claude("2"),
    ("claude-sonnet-5", "batch"): _claude("2", 2),
    # https://openai.com/api/pricing; genai-prices has the other tiers since October 2026
    ("gpt-5.4", "standard"): _gpt("2.5", "0.25", "15"),
    ("gpt-5.4", "batch"): _gpt("1.25", "0.13", "7.5", date(2026, 10, 14)),
    ("gpt-5.4", "flex"): _gpt("1.25", "0.13", "7.5", date(2026, 10, 12)),
    ("gpt-5.4", "priority"): _gpt("5", "0.5", "30", date(2026, 10, 12)),
}
"""Model and tier -> its public list price."""


class WhatIf(NamedTuple):
    """An entry of the connections file."""

    provider: str
    model: str
    to: str
    cached_share: Decimal | None = None

    @property
    def instead(self) -> str:
        """What the report calls it."""
        share = "" if self.cached_share is None else f", {self.cached_share * 100:f}".rstrip("0").rstrip(".")
        return self.to + (f"{share}% of the input cached" if share else "")


WHAT_IFS = (
    WhatIf("anthropic", "claude-opus-5", "claude-sonnet-5"),
    WhatIf("openai", "gpt-5.4", "gpt-5.4", Decimal("0.5")),
)


def _messages(row: Row) -> Tokens | None:
    """None of Priority Tier, which is paid for in advance and not in the cost report."""
    if row["service_tier"] == "priority":
        return None
    written = (row["cache_creation_5m_input_tokens"], row["cache_creation_1h_input_tokens"])
    read = row["cache_read_input_tokens"]
    whole = row["uncached_input_tokens"] + read + sum(written)
    return Tokens(row["service_tier"] or "standard", whole, read, *written, row["output_tokens"])


def _completions(row: Row) -> Tokens:
    tier = "batch" if row["batch"] else row["service_tier"] or "standard"
    tier = "standard" if tier == "default" else tier
    written = row.get("input_cache_write_tokens") or 0
    return Tokens(tier, row["input_tokens"], row["input_cached_tokens"] or 0, written, 0, row["output_tokens"])


USED = {
    "anthropic.usage_messages": _messages,
    "openai.usage_completions": _completions,
    "openai.usage_decisions": _completions,
}
"""Raw table -> the tokens of a row."""


def expected_what_if(keeper: Keeper, asked: WhatIf, first: date, last: date) -> Row:
    """Bill, list price and list price instead, of the days of connections that have all three."""
    billed = {"provider": asked.provider, "model": asked.model, "cost_basis": "billed"}
    bills = by(
        (row for row in keeper.rows(DAILY) if picked(row, "provider model cost_basis") == billed),
        "connection usage_date",
    )
    used: dict[tuple[str, date], list[Tokens]] = defaultdict(list)
    for table, tokens_of in USED.items():
        for row in keeper.rows(table):
            if table.startswith(asked.provider) and row["model"] == asked.model and (found := tokens_of(row)):
                used[row["connection"], row["usage_date"]].append(found)
    days: set[date] = set()
    usd: list[Decimal] = []
    listed, instead = Decimal(0), Decimal(0)
    for (connection, day), bill in bills.items():
        tokens = used.get((connection, day), [])
        is_known = all(row["amount_usd"] is not None or not row["native_amount"] for row in bill)
        prices = [(LIST.get((asked.model, each.tier)), LIST.get((asked.to, each.tier)), each) for each in tokens]
        known = [(one, other, each) for one, other, each in prices if one and other and one.since <= day >= other.since]
        if first <= day <= last and tokens and is_known and len(known) == len(tokens):
            days.add(day)
            usd += [row["amount_usd"] for row in bill]
            listed += sum(one.of(each, None) for one, _, each in known)
            instead += sum(other.of(each, asked.cached_share) for _, other, each in known)
    return {
        "usd": total(usd),
        "usd_list": listed,
        "usd_list_instead": instead,
        "usd_change": instead - listed,
        "days": len(days),
    }


def wrong_what_ifs(shown: Iterable[Row], books: Mapping[WhatIf, Row]) -> Iterator[str]:
    """A line for each figure of what-if that bills, tokens and public prices do not make."""
    rows = keyed(shown, "provider model instead")
    for asked, expected in books.items():
        what = f"{asked.model}, instead {asked.instead}"
        row = rows.get((asked.provider, asked.model, asked.instead))
        if row is None:
            yield f"{what}: expected a row, found {sorted(key[2] for key in rows if key[1] == asked.model)}"
        else:
            yield from differing(what, row, expected)
