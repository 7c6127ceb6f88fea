"""What the company's LiteLLM proxy notes of a given day: rows of its tables of users, teams, tags and end users.

A row of such a table is what one user (team, tag, end user) used of one model with one key. All four tables are of the
same requests: a part of what OpenAI and Anthropic bill.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from usage_assets_sandbox.books import Book, Books, field, fields
from usage_assets_sandbox.company import ATTENDANCE, Company, DayRows, Row, as_reported, email, millionths, total


class GatewayCaller(NamedTuple):
    """Who calls the proxy; a person is known to it by an address, a service by a name."""

    user: str | None
    team: str | None
    key: str
    models: tuple[str, ...]
    tags: tuple[str, ...]
    end_users: tuple[str | None, ...]
    requests: int


# Model as the proxy sends it -> provider, dollars per million tokens of input, of input from a cache, and of output.
MODELS = {
    "gpt-5.4-mini": ("openai", Decimal("0.25"), Decimal("0.025"), Decimal(2)),
    "gpt-5.5": ("openai", Decimal(5), Decimal("0.5"), Decimal(30)),
    "claude-haiku-4-5": ("anthropic", Decimal(1), Decimal("0.1"), Decimal(5)),
}
CALLERS = (
    GatewayCaller(
        "svc-helpdesk",
        "team-support",
        "helpdesk",
        ("gpt-5.4-mini", "claude-haiku-4-5"),
        ("product:helpdesk", "env:prod"),
        ("customer-1", "customer-2", "anna@customer.example"),
        40,
    ),
    GatewayCaller("dana", "team-support", "dana laptop", ("gpt-5.4-mini",), ("env:dev",), (None,), 6),
    GatewayCaller("ivan", "team-research", "ivan laptop", ("gpt-5.5",), (), (None,), 5),
    GatewayCaller(None, None, "trial", ("claude-haiku-4-5",), ("product:trial",), ("customer-3",), 10),
)
PEOPLE = frozenset(("dana", "ivan"))
TEAMS = {"team-support": "Support", "team-research": "Research"}
ENDPOINT = "/chat/completions"
DIMENSIONS = ("entity", "api_key", "api_key_alias", "model", "provider", "endpoint")
MEASURES = (
    "spend",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "api_requests",
    "successful_requests",
    "failed_requests",
)


# What a table is of, as its path calls it -> whose table a request is in.
ENTITIES: dict[str, Callable[[Row], Iterable[str | None]]] = {
    "user": lambda request: (request["user"],),
    "team": lambda request: (request["team"],) if request["team"] else (),
    "tag": lambda request: request["tags"],
    "customer": lambda request: (request["end_user"],) if request["end_user"] else (),
}


def litellm_day(company: Company, day: date) -> DayRows:
    """The rows of each table."""
    requests = list(_requests(company, day))
    return {f"{path}_activity": _table(requests, entities) for path, entities in ENTITIES.items()}


def _requests(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("litellm", day)
    for caller in CALLERS:
        if dice.random() > ATTENDANCE[day.weekday()] and caller.user in PEOPLE:
            continue
        same = {
            "user": email(caller.user) if caller.user in PEOPLE else caller.user,
            "team": caller.team,
            "tags": caller.tags,
            "api_key": company.identifier("", f"litellm {caller.key}"),
            "api_key_alias": caller.key,
        }
        for model in caller.models:
            provider, price, cached_price, output_price = MODELS[model]
            for end_user in caller.end_users:
                count = 1 + int(caller.requests * company.pace(day) * dice.random())
                failed = count // 50
                read = count * dice.randrange(200, 2000)
                cached = read // 3
                written = count * dice.randrange(50, 400)
                cost = total(
                    (
                        millionths(read - cached, price),
                        millionths(cached, cached_price),
                        millionths(written, output_price),
                    )
                )
                yield {
                    **same,
                    "end_user": end_user,
                    "model": model,
                    "provider": provider,
                    "endpoint": ENDPOINT,
                    "spend": as_reported(Decimal(cost or 0), dice),
                    "prompt_tokens": read,
                    "completion_tokens": written,
                    "cache_read_input_tokens": cached,
                    "cache_creation_input_tokens": 0,
                    "api_requests": count,
                    "successful_requests": count - failed,
                    "failed_requests": failed,
                }
        if caller.team == "team-research":  # a tool of the proxy: no model, and a price for each call
            calls = 1 + dice.randrange(20)
            yield {
                **same,
                "end_user": None,
                "model": "",
                "provider": "",
                "endpoint": "/mcp",
                "spend": calls * Decimal("0.002"),
                **dict.fromkeys(MEASURES[1:], 0),
                "api_requests": calls,
                "successful_requests": calls,
            }


def _table(requests: Iterable[Row], entities: Callable[[Row], Iterable[str | None]]) -> list[Row]:
    """The requests of each entity, added up over everything that the table does not have."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for request in requests:
        for entity in entities(request):
            row = request | {"entity": entity}
            groups.setdefault(tuple(row[name] for name in DIMENSIONS), []).append(row)
    return [
        {name: same[0][name] for name in DIMENSIONS} | {name: total(row[name] for row in same) for name in MEASURES}
        for same in groups.values()
    ]


def _book(path: str) -> Book:
    """A request may have several tags: what they add up to overlaps."""
    if path == "user":
        units = fields("prompt_tokens", "completion_tokens", gateway_spend_usd="spend", gateway_requests="api_requests")
    else:
        names = ("overlapping_spend", "overlapping_requests") if path == "tag" else ("spend", "api_requests")
        units = {f"{path}_spend_usd": field("spend", names[0]), f"{path}_requests": field("api_requests", names[1])}
    return Book(DIMENSIONS, units, lambda _, n: {"entity": f"late-{n}"})


BOOKS = Books(litellm_day, {f"{path}_activity": _book(path) for path in ENTITIES})
