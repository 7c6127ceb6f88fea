"""Pages to typed rows: our reading of them, and json.loads, a pydantic model of the page and pandas, on the same bytes.

CPU time, in turns. Ours must add up to what the text says, digit by digit; the other passes amounts through floats.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from functools import partial
from statistics import median
from typing import Any

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel

from benchmarks import bodies
from benchmarks.figures import Figure, cpu_of
from usage_assets.core import money
from usage_assets.core.days import Window
from usage_assets.fetching.client import read_page
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint

MONTH = Window(date(2026, 1, 1), date(2026, 1, 31))
ROWS, ROUNDS = 1_000, 7
DEMANDED = 1.8
ROWS_A_SECOND = 250_000
"""What is demanded of a CPU second of the machine of factor 1."""
_AMOUNT = re.compile(rb'"value": ([^,}]+)')


class CompletionsResult(BaseModel):
    """A result, as somebody would declare it who wants a data frame."""

    input_tokens: int
    input_cached_tokens: int | None = None
    input_cache_write_tokens: int | None = None
    input_uncached_tokens: int | None = None
    output_tokens: int
    input_text_tokens: int | None = None
    output_text_tokens: int | None = None
    input_cached_text_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_cached_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    input_cached_image_tokens: int | None = None
    output_image_tokens: int | None = None
    num_model_requests: int
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None


class Amount(BaseModel):
    """Money."""

    value: float
    currency: str


class CostsResult(BaseModel):
    """A result of the costs."""

    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    quantity: float | None = None
    quantity_unit: str | None = None


class CompletionsBucket(BaseModel):
    """A day of completions."""

    start_time: int
    results: list[CompletionsResult]


class CostsBucket(BaseModel):
    """A day of costs."""

    start_time: int
    results: list[CostsResult]


class CompletionsPage(BaseModel):
    """A page of completions."""

    data: list[CompletionsBucket]
    has_more: bool
    next_page: str | None


class CostsPage(BaseModel):
    """A page of costs."""

    data: list[CostsBucket]
    has_more: bool
    next_page: str | None


PAGES: Mapping[str, type[BaseModel]] = {"usage_completions": CompletionsPage, "costs": CostsPage}


def figures(_days: int, rows: int = ROWS, rounds: int = ROUNDS) -> Iterator[Figure]:
    """The CPU time of a page of a month, with so many results a day, for each of PAGES."""
    for endpoint in PROVIDERS["openai"].endpoints:
        if endpoint.name in PAGES:
            body = b"".join(bodies.page(endpoint.path, MONTH.first, len(MONTH.days), rows))
            yield from _figures(endpoint, body, rounds)


def _figures(endpoint: Endpoint, body: bytes, rounds: int) -> Iterator[Figure]:
    sides = [
        (cpu_of(partial(read, endpoint, body)), cpu_of(partial(read_naively, endpoint, body))) for _ in range(rounds)
    ]
    table, frame = read(endpoint, body), read_naively(endpoint, body)
    if len(frame) != table.num_rows:
        raise RuntimeError(f"we read {table.num_rows} rows, the other {len(frame)}")
    facts: dict[str, Any] = {
        "scale": 1000,
        "name": f"{endpoint.name}: {table.num_rows:,} rows, {len(body) / 1e6:.0f} MB",
        "unit": "ms",
    }
    yield Figure.of_rounds(
        sides,
        demanded=DEMANDED,
        note="CPU time; theirs: pydantic and pandas" + exactness(body, table, frame),
        **facts,
    )
    took = median(ours for ours, _ in sides)
    yield Figure.of_rounds(
        [(ours, table.num_rows / ROWS_A_SECOND) for ours, _ in sides],
        demanded=1,
        is_at_factor_1=True,
        note=f"theirs: {ROWS_A_SECOND:,} rows a CPU second; ours {table.num_rows / took:,.0f}, not calibrated",
        **facts,
    )


def read(endpoint: Endpoint, body: bytes) -> pa.Table:
    """Read a page as the product's client does."""
    reading = PageParser(Scope(connection="openai"), MONTH, {}, endpoint.group_by)
    read_page(endpoint, reading, body)
    return pa.concat_tables(reading.tables)


def read_naively(endpoint: Endpoint, body: bytes) -> pd.DataFrame:
    """Read a page as most scripts do."""
    page = PAGES[endpoint.name].model_validate(json.loads(body)).model_dump()
    return pd.DataFrame(
        [
            {"usage_date": datetime.fromtimestamp(bucket["start_time"], UTC).date(), **_flat(result)}
            for bucket in page["data"]
            for result in bucket["results"]
        ]
    )


def _flat(result: dict[str, object]) -> dict[str, object]:
    match result.pop("amount", None):
        case {"value": value, "currency": currency}:
            return {"amount_value": value, "amount_currency": currency, **result}
    return result


def exactness(body: bytes, table: pa.Table, frame: pd.DataFrame) -> str:
    """How far the other's sum is off. Raises RuntimeError where ours is."""
    spelled = money.total(Decimal(text.decode()) for text in _AMOUNT.findall(body))
    if not spelled:
        return ""
    if (found := money.total(table["amount_value"].to_pylist())) != spelled:
        raise RuntimeError(f"our amounts add up to {found}, those of the body to {spelled}")
    with localcontext(prec=60):
        off = abs(Decimal(frame["amount_value"].sum()) - spelled)
    return f", whose sum is off by {off:.1e}"
