"""What OpenAI's old endpoints say of a day: the use of company_openai.py once more, in coarser terms and in cents.

Nothing here is left to chance of its own: the same day of the same company always adds up to the same use.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from usage_assets_sandbox.books import Book, Books, field, fields
from usage_assets_sandbox.company import Company, DayRows, Row, total
from usage_assets_sandbox.company_openai import late_project, openai_day

MEASURES = (
    "requests",
    "context_tokens",
    "generated_tokens",
    "cached_context_tokens",
    "images",
    "seconds",
    "characters",
)
# Report -> list of the old answer, operation, and which measure of the report is which of the list.
LISTS: dict[str, tuple[str, str, Mapping[str, str]]] = {
    "usage_completions": (
        "data",
        "completion",
        {
            "context_tokens": "input_tokens",
            "generated_tokens": "output_tokens",
            "cached_context_tokens": "input_cached_tokens",
        },
    ),
    "usage_embeddings": ("data", "embeddings", {"context_tokens": "input_tokens"}),
    "usage_moderations": ("data", "moderation", {"context_tokens": "input_tokens"}),
    "usage_images": ("dalle_api_data", "generations", {"images": "images"}),
    "usage_audio_transcriptions": ("whisper_api_data", "transcription", {"seconds": "seconds"}),
    "usage_audio_speeches": ("tts_api_data", "speech", {"characters": "characters"}),
}
SPANS = 288  # of five minutes, in a day
MANY_REQUESTS = 300  # so many are spread over two of them
FREE = "Fine-tuning models"  # a line that costs nothing


def openai_legacy_day(company: Company, day: date) -> DayRows:
    """Cents per named line, and use per list, model, operation, project, key and span of five minutes."""
    use = openai_day(company, day)
    return {"billing_usage": list(_lines(use["costs"])), "usage": list(_usage(use))}


def _lines(costs: list[Row]) -> Iterator[Row]:
    lines: defaultdict[str, list[Decimal]] = defaultdict(list)
    for row in costs:
        lines[row["line_item"].partition(", ")[0]].append(row["amount"].scaleb(2))
    if lines:
        lines[FREE].append(Decimal(0))
    for name, cents in lines.items():
        yield {"name": name, "cents": total(cents)}


def _usage(use: DayRows) -> Iterator[Row]:
    for report, (list_name, operation, measures) in LISTS.items():
        for n, row in enumerate(use[report]):
            whole = {name: row[measures[name]] if name in measures else None for name in MEASURES}
            whole |= {"requests": row["num_model_requests"]}
            if list_name == "data":
                whole |= {name: whole[name] or 0 for name in ("generated_tokens", "cached_context_tokens")}
            who = {
                "list": list_name,
                "model": row["model"],
                "operation": row.get("source", operation),
                "project_id": row["project_id"],
                "api_key_id": row["api_key_id"],
                "email": row["user_email"],
                "kind": row.get("size") or ("batch" if row.get("batch") else row.get("service_tier", "default")),
            }
            spans = 2 if row["num_model_requests"] >= MANY_REQUESTS else 1
            for span in range(spans):
                yield who | {"span": (37 * n + 144 * span) % SPANS} | _share(whole, spans, span)


def _share(whole: Row, spans: int, span: int) -> Row:
    """One span's part of a use; the parts add up to the whole."""
    return {name: value and value * (span + 1) // spans - value * span // spans for name, value in whole.items()}


BOOKS = Books(
    openai_legacy_day,
    {
        "billing_usage": Book(
            ("name",), {"cents": field("cents", "cost_cents")}, lambda _, n: {"name": f"Late models {n}"}
        ),
        "usage": Book(
            ("list", "model", "operation", "project_id", "api_key_id", "email", "kind", "span"),
            fields(*MEASURES),
            late_project,
        ),
    },
)
