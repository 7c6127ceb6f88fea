"""Random companies: 1 to 4 connections with 30 to 150 days of four currencies and credits, refunds, recurring charges,
restatements, late starts, lost days, and budgets. The same seed makes the same company.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

from usage_assets.config.accounting import Accounting, Budget, CreditRate, ExchangeRate, Owner, Purchase
from usage_assets_report_tests.insights.books import (
    CREDITS,
    DAY,
    KINDS,
    SMALLEST,
    Books,
    Company,
    Line,
    Share,
    Source,
    added,
    days_between,
    month_end,
)

FEE = "fee on the"
"""What a monthly charge is called, before its day."""
FIRST_YEAR = date(2025, 3, 1)
MODELS = ("gpt-5", "gpt-5-mini", "claude-opus-5", "claude-haiku-5")
TEAMS = ("web", "data", "research")
SOURCES = {
    "focus": ("focus.charges",),
    "openai": ("openai.costs",),
    "anthropic": ("anthropic.cost_report", "anthropic.claude_code"),
    "chatgpt": ("chatgpt.codex_usage",),
    "github_copilot": (
        "github_copilot.ai_credits",
        "github_copilot.premium_requests",
        "github_copilot.billing_usage",
    ),
}
"""Providers and the raw tables that costs are computed from."""
CURRENCIES = {
    "focus.charges": ("USD", "USD", "EUR", "JPY", "BRL"),
    "openai.costs": ("USD", "USD", "EUR"),
    "anthropic.cost_report": ("USD", "USD", "EUR", "JPY"),
}
"""What a source is billed in, where it is not always dollars. BRL never has a rate."""
WITHOUT_ITEMS = ("chatgpt.codex_usage",)
"""Reports of use, which name no line item: nothing in them is a monthly charge."""
UNITS = ("USD", "EUR", "JPY", "BRL", CREDITS)
SIZES = {"JPY": 150, "BRL": 5}
"""How many units are about a dollar."""


@dataclass(frozen=True)
class Span:
    """The days of a connection, and those of the company."""

    first: date
    last: date
    newest: date

    @property
    def days(self) -> Sequence[date]:
        return days_between(self.first, self.last)


def company(seed: int) -> Company:
    """A company without budgets."""
    luck = Random(seed)
    newest = FIRST_YEAR + DAY * luck.randrange(660)
    length = luck.choice((30, luck.randint(31, 99), luck.randint(100, 150), luck.randint(100, 150)))
    lines: list[Line] = []
    sources: list[Source] = []
    configured = []
    for number in range(luck.choice((1, 2, 2, 3, 4))):
        provider = luck.choice([*SOURCES])
        name = f"{provider}-{number}"
        style = luck.choice(("level", "level", "recurring", "recurring", "recurring", "any", "any", "any", "any"))
        span = Span(newest - DAY * (length - 1), newest, newest)
        if number and luck.random() < 0.3:  # it starts late
            at_least = {"any": 3, "level": 16, "recurring": 95}[style]
            span = Span(newest - DAY * min(luck.randint(at_least, max(at_least, length)), length - 1), newest, newest)
        has_ended = style == "any" and number and luck.random() < 0.3
        if has_ended and len(span.days) > 5:
            span = Span(span.first, span.last - DAY * luck.randint(1, len(span.days) - 4), newest)
        if not has_ended:
            configured.append(name)
        for table in SOURCES[provider]:
            if style == "level":
                lines += level_lines(luck, name, table, span)
            elif style == "recurring":
                lines += recurring_lines(luck, name, table, span)
            else:
                lines += any_lines(luck, name, table, span)
        sources += sources_of(luck, name, provider, span, is_calm=style != "any")
    return Company(
        newest=newest, lines=lines, sources=sources, configured=configured, accounting=stated(luck, newest, length)
    )


def stated(luck: Random, newest: date, length: int) -> Accounting:
    """Rates and owners. The rate of the yen may end, that of the euro may change."""
    since, changed = date(2024, 1, 1), newest - DAY * luck.randrange(length)
    euros: list[tuple[date, date | None, str]] = [(since, None, "1.08")]
    if luck.random() < 0.4:
        euros = [(since, changed, "1.08"), (changed + DAY, None, "1.0913")]
    yen: list[tuple[date, date | None, str]] = [(since, None, "0.0067")]
    if luck.random() < 0.3:
        yen = [(since, changed, "0.0067")]
    rates = [
        ExchangeRate(currency=currency, valid_from=first, valid_until=last, usd=Decimal(usd), source="bank")
        for currency, periods in (("EUR", euros), ("JPY", yen))
        for first, last, usd in periods
    ]
    owners = [
        Owner.model_validate(
            {"team": luck.choice(TEAMS), "valid_from": changed if luck.random() < 0.2 else since, kind: f"{kind}-{n}"}
        )
        for kind in ("project", "workspace", "user", "api_key")
        for n in range(3)
        if luck.random() < 0.6
    ]
    credit = CreditRate(workspace="workspace-0", usd_per_credit=Decimal("0.04"), source="contract", valid_from=since)
    return Accounting(exchange_rates=rates, owners=owners, credit_rates=[credit] if luck.random() < 0.5 else [])


def line_of(luck: Random, connection: str, table: str, item: str, **changes: Any) -> Line:
    """A line of random users, projects and models, as the source names them."""
    provider = table.partition(".")[0]
    known: dict[str, Any] = {"item": item, "model": luck.choice((*MODELS, None))}
    if provider in ("focus", "openai"):
        known["project"] = f"project-{luck.randrange(3)}"
    if provider in ("anthropic", "chatgpt"):
        known["workspace"] = f"workspace-{luck.randrange(3)}"
    if table in ("openai.costs", "chatgpt.codex_usage") and luck.random() < 0.5:
        known["user"] = f"user-{luck.randrange(3)}"
    elif table in ("openai.costs", "anthropic.cost_report") and luck.random() < 0.5:
        part = luck.randint(1, 99)
        known["shares"] = (Share("user-0", "api_key-0", part), Share("user-1", "api_key-1", 100 - part))
    if table == "anthropic.claude_code":
        known |= {"basis": "estimated", "user": "user-0"}
    known["currency"] = luck.choice(CURRENCIES.get(table, ("USD",)))
    if table == "chatgpt.codex_usage":
        known["currency"] = luck.choice((None, None, "USD"))
        known["model"] = None
    return Line(**{"connection": connection, "table": table, "amounts": {}, **known, **changes})


def money(luck: Random, line: Line, low: float, high: float) -> Decimal:
    """An amount of the line's currency: whole yen, credits in halves, cents, or more places."""
    places = SMALLEST.get(line.unit, 1)
    if places == 2 and luck.random() < 0.4:
        places = luck.choice((4, 9))
    return Decimal(f"{luck.uniform(low, high) * SIZES.get(line.unit, 1):.{places}f}")


def with_amounts(line: Line, amounts: Mapping[date, Decimal], **changes: Any) -> Line:
    return Line(**{name: getattr(line, name) for name in line.__dataclass_fields__} | {"amounts": amounts} | changes)


def level_lines(luck: Random, connection: str, table: str, span: Span) -> Iterator[Line]:
    """Lines that have had one amount on every day."""
    for number in range(luck.randint(2, 5)):
        line = line_of(luck, connection, table, f"level {number}")
        amount = luck.choice((Decimal(50), Decimal(0), money(luck, line, 1, 300), money(luck, line, 1, 300)))
        is_daily_fee = luck.random() < 0.2
        yield with_amounts(line, dict.fromkeys(span.days, amount), frequency="Recurring" if is_daily_fee else None)


def recurring_lines(luck: Random, connection: str, table: str, span: Span) -> Iterator[Line]:
    """Level lines and a charge once a month, stated or not, of one amount or within 5 %."""
    yield from list(level_lines(luck, connection, table, span))[: luck.randint(1, 3)]
    if table in WITHOUT_ITEMS:
        return
    day = luck.choice((1, 3, 15, 28, 31, 31, *((30,) if no_february(span) else ())))
    is_stated = luck.random() < 0.5
    line = line_of(luck, connection, table, f"{FEE} {day}", frequency="Recurring" if is_stated else None)
    amount = money(luck, line, 500, 2000)
    varies = luck.random() < 0.4
    amounts = {
        each: money(luck, line, *(float(amount) / SIZES.get(line.unit, 1) * luck.uniform(0.98, 1.02),) * 2)
        if varies
        else amount
        for each in span.days
        if is_due(each, day)
    }
    if len(amounts) >= (1 if is_stated else 3):
        yield with_amounts(line, amounts)


def no_february(span: Span) -> bool:
    """Whether neither the days nor the next four months have a February, which has no 30th."""
    return all(day.month != 2 for day in days_between(span.first, span.newest + DAY * 125))


def is_due(day: date, day_of_month: int) -> bool:
    """Whether a charge is on this day; the 31st is the last day of each month."""
    return day == month_end(day) if day_of_month == 31 else day.day == day_of_month


def any_lines(luck: Random, connection: str, table: str, span: Span) -> Iterator[Line]:
    """Use of every kind, and perhaps a refund, which may be larger than the month."""
    for number in range(luck.randint(3, 8)):
        line = line_of(luck, connection, table, f"use {number}")
        pattern = luck.choice(("week", "week", "growth", "sparse", "level", "monthly", "ends"))
        base = luck.uniform(1, 300)
        amounts = {}
        ends = luck.choice(span.days)
        for n, day in enumerate(span.days):
            factor = {"growth": 1 + n / 40, "week": 0.2 if day.weekday() > 4 else 1.0}.get(pattern, 1.0)
            if (pattern == "sparse" and luck.random() < 0.8) or (pattern == "ends" and day > ends):
                continue
            if pattern == "monthly" and day.day != 3:
                continue
            noise = 1.0 if pattern == "level" else luck.lognormvariate(0, 0.3)
            amounts[day] = money(Random(f"{base}") if pattern == "level" else luck, line, *(base * factor * noise,) * 2)
        yield with_amounts(line, amounts)
    if luck.random() < 0.4:
        line = line_of(luck, connection, table, "refund")
        size = luck.choice((50, 1500, 20000))
        days = luck.sample(span.days[-45:], min(luck.choice((1, 1, 2)), len(span.days)))
        yield with_amounts(line, {day: -money(luck, line, size, size * 2) for day in days})


def sources_of(luck: Random, connection: str, provider: str, span: Span, *, is_calm: bool) -> Iterator[Source]:
    """How the connection was fetched: all at once today, or since a day in the past, with days read again."""
    today = span.newest + DAY
    settling = luck.choice((2, 3, 7, 14, 40, luck.randint(2, 40)))
    since = luck.choice((today, span.first + DAY * luck.randrange(len(span.days)), span.first))
    again = luck.choice(
        (
            (),
            (1, 2, 3, settling + 1),
            tuple(range(1, settling + 2)) if settling <= 14 else (7, 21, settling + 1),
            tuple(range(2, 60, 5)),
        )
    )
    lost: list[date] = []
    if not is_calm and luck.random() < 0.3 and len(span.days) > 5:
        inner = span.days[1:-1]
        lost = luck.sample([*inner[-40:]], min(luck.choice((1, 1, 3)), len(inner)))
        if span.last == span.newest and luck.random() < 0.3:
            lost = [*lost, *span.days[-luck.randint(1, 3) :]]
    is_open = not is_calm and luck.random() < 0.3
    asked_anew = None
    if not is_calm and luck.random() < 0.35:
        asked_anew = today - DAY * luck.randrange(1, 20)
    for table in SOURCES[provider]:
        left_open = [span.last] if is_open and span.last not in lost and luck.random() < 0.7 else []
        source = Source(
            connection=connection,
            table=table,
            first=span.first,
            last=span.last,
            today=today,
            settling_days=settling,
            since=since,
            again=again,
            lost=lost,
            left_open=left_open,
            asked_anew=asked_anew,
        )
        yield source if is_calm else restating(luck, source)


def restating(luck: Random, source: Source) -> Source:
    """The source as it is, or one whose provider says less, more or nothing of a day at first."""
    kind = luck.choice(("not", "grows", "shrinks", "both", "from nothing", "renames"))
    if kind == "not":
        return source
    share = luck.choice((0.1, 0.5, 1.0))
    until = luck.choice((2, 3, 5, 12))
    chosen = [day for day in days_between(source.first, source.last) if luck.random() < share]
    if kind == "renames":
        return replace(source, renamed=dict.fromkeys(chosen, until))
    parts = {"grows": (0.3, 0.95), "shrinks": (1.05, 1.6), "both": (0.5, 1.5), "from nothing": (0.0, 0.0)}[kind]
    early = {day: (until, Decimal(f"{luck.uniform(*parts):.2f}")) for day in chosen}
    return replace(source, early=early)


def with_budgets(seed: int, books: Books) -> Accounting:
    """What the company states, with budgets of what is stored: some are used up, some exactly, some by a cent more."""
    luck = Random(f"budgets of {seed}")
    newest = books.company.newest
    budgets = [budget_of(luck, books, f"budget {number}") for number in range(luck.randint(3, 6))]
    purchases = [
        Purchase(
            connection=connection,
            kind="credits",
            quantity=Decimal(luck.randint(1, 5000)),
            amount=Decimal(10),
            id=f"order {connection}",
            valid_from=newest - DAY * luck.randrange(100),
            valid_until=newest + DAY * luck.randrange(-5, 60) if luck.random() < 0.8 else None,
        )
        for connection in books.company.connections
        if connection.startswith("chatgpt")
    ]
    purchases = [each for each in purchases if each.valid_until is None or each.valid_until >= each.valid_from]
    return books.company.accounting.model_copy(update={"budgets": budgets, "purchases": purchases})


def budget_of(luck: Random, books: Books, name: str) -> Budget:
    newest = books.company.newest
    kind, scope = luck.choice(sorted(books.scopes)) if luck.random() < 0.6 else ("all", "")
    spent_in = [unit for unit in UNITS if books.parts(kind, scope, unit)]
    unit = luck.choice(spent_in if spent_in and luck.random() < 0.9 else UNITS)
    month = newest.replace(day=1)
    begins = luck.choice((date(1970, 1, 1), None, month + DAY * 14, newest - DAY * luck.randrange(40)))
    ends = luck.choice((None, None, newest + DAY * luck.randrange(-20, 20)))
    begins = begins or date(1970, 1, 1)
    if ends and ends < begins:
        ends = None
    first = max(begins, luck.choice((month, (month - DAY).replace(day=1))))
    spent = added(books.spent(books.parts(kind, scope, unit), first, newest))
    wanted = luck.choice(
        (spent, spent + Decimal("0.01"), spent * 2, spent / 2, spent + 500, Decimal(1000), abs(spent) / 7)
    ).quantize(Decimal("0.0001"))
    amount = max(wanted, Decimal("0.01"))
    entry: dict[str, Any] = {
        "name": name,
        "period": luck.choice(("month", "month", "quarter")),
        "valid_from": begins,
        "valid_until": ends,
        **({kind: scope} if kind in ("team", *KINDS) else {}),
        **({"credits": amount} if unit == CREDITS else {"amount": amount, "currency": unit}),
    }
    return Budget(**entry)
