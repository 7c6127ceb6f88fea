"""Days of a gateway, and of the bill that it splits."""

from collections.abc import Sequence
from typing import Any

from usage_assets.core.schema import Row
from usage_assets.providers.openai.costs import Costs
from usage_assets_tests.models.days import Days, days_from, raw, raw_rows

GPT = "gpt-5.4-mini"
Use = tuple[str, str, str | None, str, int]
"""Model, key, tag (None: everything), dollars, requests."""


def used(days: Days, *by_day: Sequence[Use]) -> None:
    """Store what a gateway's tags cost on DAY and the next days."""
    stored = days_from(len(by_day))
    [activity], [activity_of_tags] = (
        raw_rows([f"litellm.{name}"]) for name in ("user_activity", "tag_activity_by_model")
    )
    total, of_tags = [], []
    for day, uses in zip(stored, by_day, strict=True):
        for model, key, tag, spend, requests in uses:
            of: dict[str, Any] = {"usage_date": day, "model": model, "api_key": key, "api_requests": requests}
            if tag:
                of_tags.append(raw(activity_of_tags, tag=tag, spend=spend, **of))
            else:
                total.append(raw(activity, cut="model", spend=spend, **of))
    days.fetched(activity, *total, last=stored[-1])
    days.fetched(activity_of_tags, *of_tags, last=stored[-1])


def billed(days: Days, *by_day: Sequence[str], more: Sequence[Row] = ()) -> None:
    """Store OpenAI's bills of a model, a row each, as the connections file now says that they are split."""
    stored = days_from(len(by_day))
    rows = [
        raw(Costs, usage_date=day, line_item=f"{GPT}, {n}", amount_value=usd)
        for day, amounts in zip(stored, by_day, strict=True)
        for n, usd in enumerate(amounts)
    ]
    days.spent(Costs, *rows, *more, last=stored[-1])
