"""What the company spends at OpenRouter on a given day, per workspace, model and provider behind it."""

from datetime import date
from decimal import Decimal

from usage_assets_sandbox.books import Book, Books, fields
from usage_assets_sandbox.company import ATTENDANCE, Company, DayRows, as_reported, millionths, total

OPENROUTER_QUIET = ("openrouter quiet", 29)
# Workspace, model, version, provider, own key, requests on an ordinary day, dollars per million of input and output.
ROUTES = (
    (None, "anthropic/claude-sonnet-5", "claude-5-sonnet-20260601", "Anthropic", False, 40, "3", "15"),
    (None, "anthropic/claude-sonnet-5", "claude-5-sonnet-20260601", "Amazon Bedrock", False, 10, "3", "15"),
    ("Evals", "openai/gpt-5.4", "gpt-5.4-2026-03-05", "OpenAI", True, 30, "2.5", "15"),
    ("Evals", "deepseek/deepseek-v4", "deepseek-v4-20260415", "Fireworks", False, 120, "0.4", "1.6"),
    ("Evals", "deepseek/deepseek-v4:free", "deepseek-v4-20260415", "Fireworks", False, 25, "0", "0"),
)
FEE = Decimal("0.05")  # of what an own key costs elsewhere
DIMENSIONS = ("workspace_id", "model", "model_permaslug", "endpoint_id", "provider_name")


def openrouter_day(company: Company, day: date) -> DayRows:
    """The rows of the activity: none on a quiet day."""
    dice = company.dice("openrouter", day)
    rows = []
    for workspace, model, version, provider, is_own_key, usual, read_price, written_price in ROUTES:
        if company.falls_on(OPENROUTER_QUIET, day) or dice.random() > ATTENDANCE[day.weekday()]:
            continue
        requests = 1 + int(usual * company.pace(day) * dice.random())
        read, written = requests * dice.randrange(200, 4000), requests * dice.randrange(50, 900)
        parts = (millionths(read, Decimal(read_price)), millionths(written, Decimal(written_price)))
        cost = as_reported(Decimal(total(parts) or 0), dice)
        rows.append(
            {
                "workspace_id": company.identifier("ws_", workspace),
                "model": model,
                "model_permaslug": version,
                "endpoint_id": company.identifier("", f"{version} {provider}"),
                "provider_name": provider,
                "requests": requests,
                "prompt_tokens": read,
                "completion_tokens": written,
                "reasoning_tokens": written // 4,
                # answers that come whole from a cache count more than was read
                "cached_tokens": read * 2 if dice.random() < 0.1 else read // 5,
                "usage": millionths(int(cost * 1_000_000), FEE) if is_own_key else cost,
                "byok_usage_inference": cost if is_own_key else Decimal(0),
            }
        )
    return {"activity": rows}


BOOKS = Books(
    openrouter_day,
    {
        "activity": Book(
            DIMENSIONS,
            fields(
                "requests", "prompt_tokens", "completion_tokens", usage_usd="usage", own_keys_usd="byok_usage_inference"
            ),
            lambda _, n: {"endpoint_id": f"late-{n}"},
        ),
    },
)
