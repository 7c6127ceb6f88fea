"""What the company uses of Cursor on a given day: events with their price in cents, and what each member did.

The prices of the models and the fee on tokens are made up; what a plan covers has a price, too.
"""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from random import Random
from typing import NamedTuple

from usage_assets_sandbox.books import Book, Books, computed, fields
from usage_assets_sandbox.company import ATTENDANCE, Company, DayRows, Row, Value, as_reported, millionths, total

DAY_MS = 86_400_000
MEMBERS = ("alice", "bob", "chen", "dana", "emeka", "fatima", "goran", "hana")
QUIET = ("cursor quiet", 27)
FORMER_MEMBER = "kofi"
IDLE_MEMBER = "lena"  # a seat that nobody uses
SERVICE_ACCOUNT, SERVICE_ACCOUNT_ID, SERVICE_ACCOUNT_NAME = "ci-runner", "sa_7f3a9c", "Nightly CI Agent"
"""Who events without a client are of, except each person's second one of a day."""
LIMITS = {"bob": 200, "chen": 50}
"""Dollars that a member may spend in a cycle."""
CYCLE_STARTS = 15, 51_128_000
"""Day of the month, and milliseconds after its midnight, when a billing cycle begins."""
ENUM = "USAGE_EVENT_KIND_"
KINDS = (
    ("Included in Business", f"{ENUM}INCLUDED_IN_BUSINESS", 50),
    ("Usage-based", f"{ENUM}USAGE_BASED", 34),
    ("User API Key", f"{ENUM}USER_API_KEY", 6),
    ("Free Credit", f"{ENUM}FREE_CREDIT", 4),
    ("Errored, Not Charged", f"{ENUM}ERRORED_NOT_CHARGED", 4),
    ("Aborted, Not Charged", f"{ENUM}ABORTED_NOT_CHARGED", 2),
)
"""Label, constant, and how often."""
BILLED, OWN_KEY = "Usage-based", "User API Key"
COVERED = ("Included in Business", "Free Credit")
ERRORED, ABORTED = "Errored, Not Charged", "Aborted, Not Charged"
"""Neither is charged, but the former has a price. The latter has no tokens."""
ENUM_FROM = date(2026, 11, 1)
"""From then on, kinds are spelled as constants on odd days."""
FEE = Decimal(25)  # cents per million tokens


class EditorModel(NamedTuple):
    """A model, and its price in cents per million tokens of input; the others are multiples of it."""

    name: str
    input: Decimal


MODELS = (
    EditorModel("claude-4.5-sonnet", Decimal(300)),
    EditorModel("gpt-5", Decimal(125)),
    EditorModel("composer-1", Decimal(125)),
)
WITHOUT_CACHE_WRITES = "composer-1"
"""The model of which events that a plan covers do not state what was written to the cache."""
# Field, usual number, multiple of the price of input.
TOKENS = (
    ("input_tokens", 900, Decimal(1)),
    ("output_tokens", 1500, Decimal(5)),
    ("cache_write_tokens", 4000, Decimal("1.25")),
    ("cache_read_tokens", 30_000, Decimal("0.1")),
)
# Field of the daily report, usual number.
ACTIVITY = (
    ("total_lines_added", 400),
    ("total_lines_deleted", 150),
    ("accepted_lines_added", 250),
    ("accepted_lines_deleted", 60),
    ("total_applies", 30),
    ("total_accepts", 25),
    ("total_rejects", 6),
    ("total_tabs_shown", 200),
    ("total_tabs_accepted", 90),
    ("composer_requests", 8),
    ("chat_requests", 12),
    ("agent_requests", 15),
    ("cmdk_usages", 5),
    ("bugbot_usages", 1),
)


def cursor_day(company: Company, day: date) -> DayRows:
    """The events of a day, and the day of each member; who is idle has one, too."""
    events = list(_events(company, day))
    members = (*MEMBERS, IDLE_MEMBER)
    return {"usage_events": events, "daily_usage": [_day_of(company, day, person, events) for person in members]}


def _events(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("cursor", day)
    if company.falls_on(QUIET, day):
        return
    for person in MEMBERS:
        if dice.random() > ATTENDANCE[day.weekday()]:
            continue
        for n in range(1 + int(6 * company.pace(day) * dice.random())):
            # the first two of a person are of one millisecond: events have no id
            yield _event(dice, day, person, n, dice.randrange(DAY_MS - 1) if n != 1 else None)


def _event(dice: Random, day: date, person: str, n: int, at: int | None) -> Row:
    [(label, constant, _)] = dice.choices(KINDS, [often for *_, often in KINDS])
    model = dice.choice(MODELS)
    failed = label.endswith("Not Charged")
    used = {name: int(usual * (0.2 + 1.6 * dice.random())) for name, usual, _ in TOKENS}
    by_token = dice.random() > 0.15
    price = sum((millionths(used[name], model.input * times) for name, _, times in TOKENS), Decimal(0))
    price = as_reported(price, dice)
    fee = millionths(sum(used.values()), FEE) if by_token else None
    counts: dict[str, int | None] = {**used}
    own = label == OWN_KEY
    charged = fee or Decimal(0) if own else total((price, fee)) if by_token else Decimal(4)
    if label == ABORTED:
        by_token, charged = False, Decimal(0)
    if label == COVERED[0] and model.name == WITHOUT_CACHE_WRITES:
        counts["cache_write_tokens"] = None
    max_mode, is_headless = dice.random() < 0.2, dice.random() < 0.1
    is_account = is_headless and n != 1
    return {
        "person": SERVICE_ACCOUNT if is_account else person,
        "is_account": is_account,
        "conversation": f"{person} {day}",
        "n": n,
        "at": at,
        "model": model.name,
        "label": label,
        "kind": constant if day >= ENUM_FROM and day.day % 2 else label,
        "max_mode": max_mode,
        "is_headless": is_headless,
        "by_token": by_token,
        "events": 1,
        "request_units": None if failed else Decimal(dice.randrange(1, 60)) / 10,
        **{name: count if by_token else None for name, count in counts.items()},
        "model_cents": price if by_token else None,
        "token_fee_cents": fee if by_token else None,
        "charged_cents": charged,
    }


def _day_of(company: Company, day: date, person: str, events: list[Row]) -> Row:
    dice = company.dice(f"cursor {person}", day)
    own = [event for event in events if event["person"] == person]
    return {
        "person": person,
        "is_active": bool(own),
        "model": own[0]["model"] if own else None,
        **{name: int(usual * 2 * dice.random()) if own else 0 for name, usual in ACTIVITY},
        "subscription_included_requests": sum(event["label"] in COVERED for event in own),
        "usage_based_requests": sum(event["label"] == BILLED for event in own),
        "api_key_requests": sum(event["label"] == OWN_KEY for event in own),
    }


def _of_events(measure: str, *labels: str) -> Callable[[Row], Value]:
    return lambda row: row[measure] if row["label"] in labels else None


BOOKS = Books(
    cursor_day,
    {
        "usage_events": Book(
            (
                "person",
                "is_account",
                "conversation",
                "n",
                "at",
                "model",
                "label",
                "kind",
                "max_mode",
                "is_headless",
                "by_token",
                "events",
            ),
            {
                **computed(
                    billed_cents=_of_events("charged_cents", BILLED),
                    included_cents=_of_events("charged_cents", *COVERED),
                    own_key_cents=_of_events("charged_cents", OWN_KEY),
                    not_charged_cents=_of_events("charged_cents", ERRORED, ABORTED),
                    service_account_cents=lambda row: row["charged_cents"] if row["is_account"] else None,
                ),
                **fields(
                    "events",
                    "input_tokens",
                    "output_tokens",
                    "cache_read_tokens",
                    "cache_write_tokens",
                    "model_cents",
                    "token_fee_cents",
                    "request_units",
                ),
            },
            lambda _, n: {"person": f"late{n}", "is_account": False},
        ),
        "daily_usage": Book(
            ("person", "is_active", "model"),
            fields(
                *(name for name, _ in ACTIVITY),
                "subscription_included_requests",
                "usage_based_requests",
                "api_key_requests",
            ),
            lambda _, n: {"person": f"late{n}"},
        ),
    },
)
