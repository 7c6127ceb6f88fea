"""What the company uses of OpenAI on a given day, and what it pays for that, as rows at the finest grain.

Each report but costs and completions has dice of its own, so that one more report changes no other.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from usage_assets_sandbox.books import Book, Books, Unit, dollars, fields
from usage_assets_sandbox.company import (
    ATTENDANCE,
    EMAIL_DOMAIN,
    OPENED,
    Company,
    DayRows,
    Row,
    as_reported,
    email,
    millionths,
)

OPENAI_QUIET = ("openai quiet", 29)
OPENAI_PARTIAL = ("openai partial", 17)  # people's projects rest, only service accounts work


class OpenAIModel(NamedTuple):
    """List prices in dollars per million tokens."""

    input: Decimal
    cached: Decimal
    output: Decimal


class OpenAICaller(NamedTuple):
    """Who calls OpenAI: a person (with a key, or without one in the playground) or a service account's key."""

    project: str
    person: str | None
    key: str | None
    models: tuple[str, ...]
    requests: int  # on an ordinary day
    modes: tuple[tuple[bool, str], ...] = ((False, "default"),)  # batch, service tier
    audio: bool = False


OPENAI_MODELS = {
    "gpt-5.5": OpenAIModel(Decimal("5"), Decimal("0.5"), Decimal("30")),
    "gpt-5.4": OpenAIModel(Decimal("2.5"), Decimal("0.25"), Decimal("15")),
    "gpt-5.4-mini": OpenAIModel(Decimal("0.25"), Decimal("0.025"), Decimal("2")),
    "gpt-5.4-nano": OpenAIModel(Decimal("0.05"), Decimal("0.005"), Decimal("0.4")),
    "gpt-5.3-codex": OpenAIModel(Decimal("1.75"), Decimal("0.175"), Decimal("14")),
}
OPENAI_TIERS = {"default": Decimal(1), "priority": Decimal(2), "flex": Decimal("0.5")}
OPENAI_CALLERS = (
    OpenAICaller("checkout", "alice", "alice laptop", ("gpt-5.5", "gpt-5.4-mini"), 60),
    OpenAICaller("checkout", "bob", "bob laptop", ("gpt-5.4", "gpt-5.3-codex"), 45),
    OpenAICaller("checkout", "chen", None, ("gpt-5.5",), 12),
    OpenAICaller(
        "checkout",
        None,
        "checkout service",
        ("gpt-5.4-mini", "gpt-5.4-nano"),
        900,
        ((False, "default"), (False, "priority")),
    ),
    OpenAICaller("support-bot", "dana", "dana notebook", ("gpt-5.4",), 30),
    OpenAICaller("support-bot", "emeka", None, ("gpt-5.4-mini",), 8),
    OpenAICaller("support-bot", None, "support bot", ("gpt-5.4", "gpt-5.4-mini"), 1500, audio=True),
    OpenAICaller("data-platform", "fatima", "fatima key", ("gpt-5.4-nano", "gpt-5.4"), 80),
    OpenAICaller("data-platform", "goran", "goran key", ("gpt-5.3-codex",), 70),
    OpenAICaller("data-platform", "hana", None, ("gpt-5.5",), 9),
    OpenAICaller(
        "data-platform",
        None,
        "nightly labels",
        ("gpt-5.4-nano", "gpt-5.4-mini"),
        2500,
        ((True, "default"), (False, "flex")),
    ),
    OpenAICaller(
        "research", "ivan", "ivan experiments", ("gpt-5.5", "gpt-5.4"), 90, ((False, "default"), (True, "default"))
    ),
    OpenAICaller("research", "julia", "julia experiments", ("gpt-5.5",), 55),
    OpenAICaller("research", "kofi", "kofi evals", ("gpt-5.4-mini",), 200, ((False, "flex"),)),
    OpenAICaller("research", "lena", None, ("gpt-5.4",), 6),
)
CALLERS = {caller.key or caller.person: caller for caller in OPENAI_CALLERS}
AGENT = "support bot"  # whose requests go through the Agents API
# Billed by the piece and absent from usage/completions: line item, project, key, unit, dollars apiece, pieces a day.
OPENAI_EXTRAS = (
    ("web search tool calls", "support-bot", "support bot", None, Decimal("0.01"), 120),
    ("gpt-image-2, output", "checkout", "checkout service", "images", Decimal("0.042"), 15),
)


# Report -> who makes such requests, by which model, how many on an ordinary day.
USERS = {
    "usage_embeddings": (
        ("nightly labels", "text-embedding-3-large", 4000),
        ("support bot", "text-embedding-3-small", 1200),
        ("checkout service", "text-embedding-3-small", 300),
        ("ivan experiments", "text-embedding-3-large", 150),
        ("ivan experiments", "text-embedding-3-small", 40),
        ("kofi evals", "text-embedding-3-small", 90),
        ("fatima key", "text-embedding-3-large", 60),
        ("hana", "text-embedding-3-small", 5),
    ),
    "usage_moderations": (
        ("support bot", "omni-moderation-latest", 1500),
        ("checkout service", "omni-moderation-latest", 700),
        ("kofi evals", "text-moderation-latest", 120),
        ("julia experiments", "omni-moderation-latest", 30),
        ("emeka", "omni-moderation-latest", 8),
    ),
    "usage_images": (
        ("checkout service", "gpt-image-2", 15),
        ("support bot", "gpt-image-1-mini", 5),
        ("nightly labels", "gpt-image-1-mini", 8),
        ("julia experiments", "gpt-image-2", 6),
        ("bob laptop", "gpt-image-2", 3),
        ("lena", "gpt-image-1-mini", 4),
    ),
    "usage_audio_speeches": (
        ("support bot", "gpt-4o-mini-tts", 200),
        ("checkout service", "gpt-4o-mini-tts", 25),
        ("dana notebook", "gpt-4o-mini-tts", 12),
        ("julia experiments", "tts-1-hd", 9),
        ("emeka", "tts-1-hd", 3),
    ),
    "usage_audio_transcriptions": (
        ("support bot", "gpt-4o-transcribe", 180),
        ("nightly labels", "whisper-1", 90),
        ("dana notebook", "gpt-4o-transcribe", 10),
        ("goran key", "whisper-1", 4),
    ),
    "usage_decisions": (
        ("support bot", "gpt-5.4", 400),
        ("checkout service", "gpt-5.4-mini", 250),
        ("ivan experiments", "gpt-5.5", 25),
        ("alice laptop", "gpt-5.5", 20),
        ("lena", "gpt-5.4", 3),
    ),
}
# Report -> what is measured, and how much of it a request has: at least, less than.
MEASURES = {
    "usage_embeddings": ("input_tokens", 40, 900),
    "usage_moderations": ("input_tokens", 20, 300),
    "usage_audio_speeches": ("characters", 40, 2000),
    "usage_audio_transcriptions": ("seconds", 3, 600),
}
IMAGE_SIZES = ("256x256", "512x512", "1024x1024", "1792x1792", "1024x1792")
IMAGE_SOURCES = ("image.generation", "image.edit", "image.variation")
CONTEXT_LEVELS = ("low", "medium", "high")
# Project -> its vector stores, each with who searches it and how often on an ordinary day.
VECTOR_STORES: dict[str, dict[str, tuple[tuple[str, int], ...]]] = {
    "support-bot": {"faq": (("support bot", 300), ("dana notebook", 15)), "manuals": (("support bot", 120),)},
    "data-platform": {"schemas": (("fatima key", 30), ("hana", 5))},
    "research": {"papers": (("ivan experiments", 40), ("lena", 4)), "transcripts": (("julia experiments", 20),)},
}
CODE_INTERPRETER_SESSIONS = {"data-platform": 25, "research": 40, "support-bot": 6, "checkout": 4}


def openai_day(company: Company, day: date) -> DayRows:
    """The rows of every report of a day; costs are in dollars.

    Costs pay for completions and OPENAI_EXTRAS and for nothing else: live, too, costs and usage need not agree. But
    nothing is billed to a project that no report has.
    """
    dice = company.dice("openai", day)
    completions = list(_completions(company, day, dice))
    costs = list(_openai_costs(company, day, completions, dice))
    rows = {
        "usage_completions": completions,
        **{report: list(_requests(company, day, report)) for report in MEASURES},
        "usage_images": list(_images(company, day)),
        "usage_code_interpreter_sessions": list(_code_interpreter(company, day)),
        "usage_file_search_calls": list(_file_searches(company, day)),
        "usage_web_search_calls": list(_web_searches(company, day, completions)),
        "usage_decisions": list(_decisions(company, day)),
    }
    used = {row["project_id"] for report in rows.values() for row in report}
    rows["costs"] = [line for line in costs if line["project_id"] in used]
    if company.falls_on(OPENAI_QUIET, day):
        rows = {report: [] for report in rows}
    return rows | {"usage_vector_stores": list(_vector_stores(company, day))}  # nobody deletes files to rest


def _openai_caller(company: Company, project: str, person: str | None, key: str | None) -> Row:
    return {
        "project_id": company.identifier("proj_", project),
        "user_id": company.identifier("user-", person),
        "user_email": email(person),
        "api_key_id": company.identifier("key_", key),
    }


def _completions(company: Company, day: date, dice: Random) -> Iterator[Row]:
    pace, people_rest = company.pace(day), company.falls_on(OPENAI_PARTIAL, day)
    for caller in OPENAI_CALLERS:
        if dice.random() > ATTENDANCE[day.weekday()] or (people_rest and caller.person):
            continue
        for model in caller.models:
            for batch, tier in caller.modes:
                if dice.random() < 0.12:
                    continue
                requests = 1 + int(caller.requests * pace * (0.5 + dice.random()))
                yield (
                    _openai_caller(company, caller.project, caller.person, caller.key)
                    | {"model": model, "batch": batch, "service_tier": tier}
                    | {"api_source": "agents_api" if caller.key == AGENT else "unlabeled"}
                    | _completion_tokens(requests, caller.audio, dice)
                )


def _completion_tokens(requests: int, audio: bool, dice: Random) -> Row:
    text_in, text_out = requests * dice.randrange(150, 2500), requests * dice.randrange(60, 900)
    cached = requests * dice.randrange(0, 3000) if dice.random() < 0.6 else 0
    written = cached // 4
    audio_in, audio_out = (text_in // 5, text_out // 7) if audio else (0, 0)
    image_in = text_in // 9 if dice.random() < 0.1 else 0
    uncached = text_in + audio_in + image_in
    return {
        "num_model_requests": requests,
        "input_tokens": uncached + cached + written,
        "input_uncached_tokens": uncached,
        "input_cached_tokens": cached,
        "input_cache_write_tokens": written,
        "input_text_tokens": text_in,
        "input_audio_tokens": audio_in,
        "input_image_tokens": image_in,
        "input_cached_text_tokens": cached - cached // 50,
        "input_cached_audio_tokens": cached // 50,
        "input_cached_image_tokens": 0,
        "output_tokens": text_out + audio_out,
        "output_text_tokens": text_out,
        "output_audio_tokens": audio_out,
        "output_image_tokens": 0,
    }


def _openai_costs(company: Company, day: date, usage: list[Row], dice: Random) -> Iterator[Row]:
    lines: dict[tuple[Any, ...], Row] = {}
    for row in usage:
        for line_item, tokens, price in _line_items(row):
            line = {name: row[name] for name in ("project_id", "user_id", "user_email", "api_key_id", "api_source")}
            line |= {"line_item": line_item, "quantity_unit": "tokens"}
            line = lines.setdefault(tuple(line.values()), line | {"amount": Decimal(0), "quantity": 0})
            line["amount"] += millionths(tokens, price)
            line["quantity"] += tokens
    for line_item, project, key, unit, price, pieces in OPENAI_EXTRAS:
        count = int(pieces * company.pace(day) * (0.5 + dice.random()))
        if count:
            line = _openai_caller(company, project, None, key)
            line |= {"api_source": "unlabeled", "line_item": line_item, "quantity_unit": unit}
            lines[tuple(line.values())] = line | {"amount": count * price, "quantity": count}
    for line in lines.values():
        yield line | {"amount": as_reported(line["amount"], dice), "currency": "usd"}


def _line_items(row: Row) -> Iterator[tuple[str, int, Decimal]]:
    model = OPENAI_MODELS[row["model"]]
    factor = OPENAI_TIERS[row["service_tier"]] * (Decimal("0.5") if row["batch"] else 1)
    yield f"{row['model']}, input", row["input_uncached_tokens"] + row["input_cache_write_tokens"], model.input * factor
    if row["input_cached_tokens"]:
        yield f"{row['model']}, cached input", row["input_cached_tokens"], model.cached * factor
    yield f"{row['model']}, output", row["output_tokens"], model.output * factor


def _at_work(company: Company, day: date, name: str, dice: Random) -> Row | None:
    """The caller's dimensions if it works that day."""
    caller = CALLERS[name]
    if dice.random() > ATTENDANCE[day.weekday()] or (caller.person and company.falls_on(OPENAI_PARTIAL, day)):
        return None
    return _openai_caller(company, caller.project, caller.person, caller.key)


def _count(company: Company, day: date, ordinary: int, dice: Random) -> int:
    """About as many as on an ordinary day, for the pace of this one."""
    return 1 + int(ordinary * company.pace(day) * (0.5 + dice.random()))


def _users(company: Company, day: date, report: str) -> Iterator[tuple[Row, int, Random]]:
    """Who made requests by which model, how many, and the report's dice."""
    dice = company.dice(f"openai {report}", day)
    for name, model, requests in USERS[report]:
        if who := _at_work(company, day, name, dice):
            yield who | {"model": model}, _count(company, day, requests, dice), dice


def _requests(company: Company, day: date, report: str) -> Iterator[Row]:
    measure, least, most = MEASURES[report]
    for who, requests, dice in _users(company, day, report):
        yield who | {"num_model_requests": requests, measure: requests * dice.randrange(least, most)}


def _images(company: Company, day: date) -> Iterator[Row]:
    for who, requests, dice in _users(company, day, "usage_images"):
        for size in dice.sample(IMAGE_SIZES, 2):
            for source in dice.sample(IMAGE_SOURCES, 2):
                images = requests * dice.randrange(1, 5)
                yield who | {"size": size, "source": source, "num_model_requests": requests, "images": images}


def _decisions(company: Company, day: date) -> Iterator[Row]:
    """Usage that the emulated costs do not bill. OpenAI bills its input tokens (Decisions API, in beta since 2026-10),
    but no answer with their line item has been seen, and one that we make up would prove nothing."""
    for who, requests, dice in _users(company, day, "usage_decisions"):
        source = "agents_api" if who["api_key_id"] == company.identifier("key_", AGENT) else "unlabeled"
        how = {"batch": False, "service_tier": "default", "api_source": source}
        yield who | how | _completion_tokens(requests, False, dice)


def _web_searches(company: Company, day: date, completions: list[Row]) -> Iterator[Row]:
    """Their model requests are some of those that completions count."""
    dice = company.dice("openai usage_web_search_calls", day)
    for row in completions:
        if row["batch"] or row["service_tier"] != "default" or dice.random() < 0.4:
            continue
        left = row["num_model_requests"] // 2
        for level in CONTEXT_LEVELS:
            requests = dice.randrange(left + 1)
            left -= requests
            if requests:
                yield {
                    **{name: row[name] for name in ("project_id", "user_id", "user_email", "api_key_id", "model")},
                    "context_level": level,
                    "api_source": row["api_source"],
                    "num_model_requests": requests,
                    "num_requests": requests * dice.randrange(1, 4),
                }


def _file_searches(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("openai usage_file_search_calls", day)
    for stores in VECTOR_STORES.values():
        for store, callers in stores.items():
            for name, searches in callers:
                if who := _at_work(company, day, name, dice):
                    count = _count(company, day, searches, dice)
                    yield who | {"vector_store_id": company.identifier("vs_", store), "num_requests": count}


def _vector_stores(company: Company, day: date) -> Iterator[Row]:
    """Bytes that are there on the day, which grow."""
    for project, stores in VECTOR_STORES.items():
        mebibytes = 40 * len(stores) + max(0, (day - OPENED).days)
        odd = company.dice(f"openai usage_vector_stores {project}", day).randrange(2**20)
        yield {"project_id": company.identifier("proj_", project), "usage_bytes": mebibytes * 2**20 + odd}


def _code_interpreter(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("openai usage_code_interpreter_sessions", day)
    for project, sessions in CODE_INTERPRETER_SESSIONS.items():
        if dice.random() < ATTENDANCE[day.weekday()]:
            count = _count(company, day, sessions, dice)
            yield {"project_id": company.identifier("proj_", project), "num_sessions": count}


def _late_user(_rows: list[Row], n: int) -> Row:
    return {"user_id": f"user-late{n}", "user_email": f"late{n}@{EMAIL_DOMAIN}"}


def late_project(_rows: list[Row], n: int) -> Row:
    return {"project_id": f"proj_late{n}"}


_CALLER = ("project_id", "user_id", "user_email", "api_key_id")
BOOKS = Books(
    openai_day,
    {
        "usage_completions": Book(
            (*_CALLER, "model", "batch", "service_tier", "api_source"),
            fields("input_tokens", "output_tokens", "num_model_requests"),
            _late_user,
        ),
        "costs": Book(
            (*_CALLER, "line_item", "quantity_unit", "api_source", "currency"),
            {"usd": Unit(dollars, "amount_usd")},
            _late_user,
        ),
        "usage_embeddings": Book(
            (*_CALLER, "model"),
            fields(embeddings_input_tokens="input_tokens", embeddings_requests="num_model_requests"),
            _late_user,
        ),
        "usage_moderations": Book(
            (*_CALLER, "model"),
            fields(moderations_input_tokens="input_tokens", moderations_requests="num_model_requests"),
            _late_user,
        ),
        "usage_images": Book(
            (*_CALLER, "model", "size", "source"),
            fields("images", images_requests="num_model_requests"),
            _late_user,
        ),
        "usage_audio_speeches": Book(
            (*_CALLER, "model"),
            fields(speech_characters="characters", speech_requests="num_model_requests"),
            _late_user,
        ),
        "usage_audio_transcriptions": Book(
            (*_CALLER, "model"),
            fields(transcribed_seconds="seconds", transcription_requests="num_model_requests"),
            _late_user,
        ),
        "usage_vector_stores": Book(
            ("project_id",),
            fields(vector_store_byte_days="usage_bytes"),  # bytes are a level: only byte-days add up over days
            late_project,
        ),
        "usage_code_interpreter_sessions": Book(
            ("project_id",), fields(code_interpreter_sessions="num_sessions"), late_project
        ),
        "usage_file_search_calls": Book(
            (*_CALLER, "vector_store_id"), fields(file_searches="num_requests"), _late_user
        ),
        "usage_web_search_calls": Book(
            (*_CALLER, "model", "context_level", "api_source"),
            fields(web_searches="num_requests", web_search_model_requests="num_model_requests"),
            _late_user,
        ),
        "usage_decisions": Book(
            (*_CALLER, "model", "batch", "service_tier", "api_source"),
            fields(
                decisions_input_tokens="input_tokens",
                decisions_output_tokens="output_tokens",
                decisions_requests="num_model_requests",
            ),
            _late_user,
        ),
    },
)
