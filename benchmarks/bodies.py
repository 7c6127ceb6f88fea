"""Pages as OpenAI sends them, of a company that is as large as you like. Shares no code with the product.

The same arguments give the same bytes. Amounts are 17-digit doubles, as live ones are.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from functools import cache
from random import Random
from typing import Any

MODELS = ("gpt-5.4", "gpt-5.4-mini-2026-03-17", "gpt-4o-2024-08-06", "o4-mini-2025-04-16", "text-embedding-3-large")
KINDS = ("input", "cached input", "output")
TIERS = ("default", "flex", "priority")
VARIANTS = 4
"""So many different days are made; the days of a year take turns."""


def page(path: str, first: date, days: int, rows: int, people: int = 0, *, is_control: bool = False) -> Iterator[bytes]:
    """The body of one page, bucket by bucket: ``days`` days from ``first`` on, with ``rows`` results each,
    of so many people with a project and a key each; by default of one for ten results.

    As the control totals of costs, one result each: what the day adds up to.
    """
    results = _total if is_control else _results
    yield b'{"object":"page","data":['
    for n in range(days):
        start = datetime.combine(first + timedelta(days=n), time(), UTC)
        end = start + timedelta(days=1)
        frame = f'{{"object":"bucket","start_time":{start.timestamp():.0f},"end_time":{end.timestamp():.0f},"results":'
        yield (b"," if n else b"") + frame.encode()
        yield results(path, rows, people or max(1, rows // 10), start.toordinal() % VARIANTS)
        yield b"}"
    yield b'],"has_more":false,"next_page":null}'


@cache
def _results(path: str, rows: int, people: int, variant: int) -> bytes:
    random = Random(f"{path} {variant}")  # noqa: S311 - nothing secret: the same bytes every time
    ids = [_ids(random) for _ in range(people)]
    make = {"organization/usage/completions": _completions, "organization/costs": _cost}[path]
    # one result per person, key and position: no two are of one grain
    return json.dumps([make(random, ids[n % len(ids)], n // len(ids)) for n in range(rows)]).encode()


@cache
def _total(path: str, rows: int, people: int, variant: int) -> bytes:
    amounts = [
        cost["amount"]["value"] for cost in json.loads(_results(path, rows, people, variant), parse_float=Decimal)
    ]
    with localcontext(prec=60):
        total = sum(amounts, Decimal())
    amount = f'{{"value": {total:f}, "currency": "usd"}}'
    return f'[{{"object": "organization.costs.result", "amount": {amount}, "line_item": null}}]'.encode()


def _ids(random: Random) -> dict[str, str]:
    return {
        "project_id": f"proj_{random.randbytes(12).hex()}",
        "user_id": f"user-{random.randbytes(12).hex()}",
        "api_key_id": f"key_{random.randbytes(8).hex()}",
    }


def _completions(random: Random, ids: dict[str, str], n: int) -> dict[str, Any]:
    requests, text, cached, written = (random.randrange(1, most) for most in (500, 900_000, 90_000, 9_000))
    output = random.randrange(1, 90_000)
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": text + cached + written,
        "input_cached_tokens": cached,
        "input_cache_write_tokens": written,
        "input_uncached_tokens": text,
        "output_tokens": output,
        "input_text_tokens": text,
        "output_text_tokens": output,
        "input_cached_text_tokens": cached,
        "input_audio_tokens": 0,
        "input_cached_audio_tokens": 0,
        "output_audio_tokens": 0,
        "input_image_tokens": 0,
        "input_cached_image_tokens": 0,
        "output_image_tokens": 0,
        "num_model_requests": requests,
        **ids,
        "model": _of(MODELS, n),
        "batch": n // len(MODELS) % 2 == 1,
        "service_tier": _of(TIERS, n // len(MODELS) // 2),
    }


def _cost(random: Random, ids: dict[str, str], n: int) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": random.random() * 10 ** random.randrange(-5, 3), "currency": "usd"},
        "line_item": f"{_of(MODELS, n)}{_series(n)}, {_of(KINDS, n // len(MODELS))}",
        **ids,
        "quantity": random.randrange(1, 900_000),
        "quantity_unit": "tokens",
    }


def _series(n: int) -> str:
    """What makes a model another one where a person has more positions than there are line items."""
    series = n // (len(MODELS) * len(KINDS))
    return f"-{series}" if series else ""


def _of(names: Sequence[str], n: int) -> str:
    return names[n % len(names)]
