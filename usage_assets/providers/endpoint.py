"""What an endpoint is: data. The one client reads these declarations; a new endpoint adds no code to it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from usage_assets.providers.reading import Item, Records
from usage_assets.providers.windows import DAY, Window
from usage_assets.rows import Row


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a provider says that it does not group by something, for a window or before some time.

    ``pattern`` matches the message of the refusal; a named group ``since`` (unix seconds) says from when on it would.
    """

    pattern: re.Pattern[str]
    drops: tuple[str, ...]

    def first_day(self, refused: re.Match[str]) -> date | None:
        """The first whole day that may be grouped, where the message names one."""
        since = refused.groupdict().get("since")
        return (datetime.fromtimestamp(int(since) - 1, UTC) + DAY).date() if since else None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One list endpoint of a provider: how to ask it, how many days a window may have, what its rows are."""

    name: str
    """Last part of the asset key."""
    group: str
    """Asset group after the connection's name: ``usage``, ``costs``, ``claude_code``, ``codex``."""
    path: str
    """Below the connection's base URL; ``{workspace_id}`` is filled in from the connection."""
    row: type[Row]
    item: type[Item]
    """What stands in a page's ``data``: what is read of it before it is split into records."""
    records: Records
    window_days: int
    window_params: Callable[[Window], Mapping[str, str]]
    params: Mapping[str, str] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    queries: tuple[Mapping[str, str], ...] = ({},)
    """Variants that are asked for each window, one chain of pages each."""
    bucket_per_day: bool
    """Whether a complete answer has a bucket for every day, also for an empty one."""
    refusals: tuple[Refusal, ...] = ()


def error_message(body: object) -> str | None:
    """The message of ``{"error": {"message": ...}}``, the error body of OpenAI and Anthropic."""
    match body:
        case {"error": {"message": str(message)}}:
            return message
    return None


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One provider's API: where it is, how it knows us, how it complains, how far back it remembers."""

    name: str
    base_url: str
    headers: Callable[[str], Mapping[str, str]]
    """Authentication headers for a key."""
    error_message: Callable[[object], str | None]
    """The message in a decoded error body, or None where the body has none."""
    advice: Mapping[int, str]
    """What to do about a status, in words for the user (401: which variable to look at, 403: which scope)."""
    endpoints: tuple[Endpoint, ...]
    lookback_days: int | None = None
    token_refused: re.Pattern[str] = re.compile(
        r"\b(page|token|cursor)\b.*\b(invalid|expired|modified)\b|\b(invalid|expired)\b.*\b(page|token|cursor)\b", re.I
    )
    """Matches the message that refuses a page token; the window then starts again, once."""
