"""What goes wrong while the state machine fetches, and which fetches have to fail of it.

Each refusal is proved by itself in fetching/test_refusals.py; here they meet everything that came before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from usage_assets.core.days import Window
from usage_assets.fetching.page_parser import is_by_page
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets_tests.fetching.conftest import ENDPOINTS, error_body

Script = Callable[[Provider, Endpoint], Mapping[str, Any]]


@dataclass(frozen=True)
class Attempt:
    """What is known of a fetch that a fault was aimed at."""

    first_window: Window
    has_second_page: bool
    """Whether the first window has more than one page, where each bucket is a page."""
    has_rows: bool
    """Whether the provider has anything on these days."""
    fired: int
    """How many calls the fault has happened to."""


def always(_: Attempt) -> bool:
    """The fetch fails."""
    return True


def never(_: Attempt) -> bool:
    """The fetch succeeds."""
    return False


def if_there_are_rows(attempt: Attempt) -> bool:
    """The fetch fails where there is something to spoil."""
    return attempt.has_rows


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong. What is served in spite of it is true, but for what the last fields say."""

    script: Script
    fails: Callable[[Attempt], bool] = never
    """Whether the fetch must fail; if not, it must succeed."""
    where: Callable[[Endpoint], bool] = lambda _: True
    calls: tuple[int, ...] | None = None
    """The calls that it happens to; None: all."""
    any_pages: bool = True
    """Whether it can happen in a chain of pages."""
    drops: tuple[str, ...] = ()
    """Dimensions that the first window is not grouped by, where it is one day. Halves of a longer one are granted."""

    def at(self, name: str) -> Mapping[str, Any]:
        """As /control/faults wants it, without the route."""
        return {**self.script(*ENDPOINTS[name]), **({"calls": self.calls} if self.calls else {})}


def _bucketed(endpoint: Endpoint) -> bool:
    return endpoint.bucket_per_day


def _never_refused(endpoint: Endpoint) -> bool:
    """A refusal has no buckets, and half of it is another refusal."""
    return endpoint.bucket_per_day and not endpoint.refusals


def _kind(name: str, **options: Any) -> Script:
    return lambda _provider, _endpoint: {"fault": name, **options}


def _status(code: int, words: str = "the provider's own words") -> Script:
    return lambda provider, _: {"fault": "status", "status": code, "body": error_body(provider, words)}


def _edit(*operations: Mapping[str, Any]) -> Script:
    return _kind("edit", operations=operations)


def _all_records(do: str) -> Script:
    return lambda *target: _edit({"do": do, "path": RECORDS[target[1].bucket_per_day]})(*target)


def _all_amounts(text: str) -> Script:
    return lambda *target: _edit({"do": "set", "path": AMOUNTS[target[1].name], "raw": text})(*target)


def _first_bucket_of(day: date) -> Script:
    def script(provider: Provider, endpoint: Endpoint) -> Mapping[str, Any]:
        times = endpoint.window_params(Window(day, day)).items()
        values = {f"data[0].{name}": int(text) if text.isdigit() else text for name, text in times}
        return _edit(*({"do": "set", "path": path, "to": value} for path, value in values.items()))(provider, endpoint)

    return script


RECORDS = {True: "data[*].results", False: "data"}
"""Whether there are buckets -> where the records stand in an answer."""
AMOUNTS = {
    "costs": "data[*].results[*].amount.value",
    "usage_images": "data[*].results[*].images",
    "usage_vector_stores": "data[*].results[*].usage_bytes",
    "cost_report": "data[*].results[*].amount",
    "claude_code": "data[*].model_breakdown[*].estimated_cost.amount",
    "codex_usage": "data[*].totals.credits",
}
"""Endpoint -> where an amount of each record stands in an answer."""
TOO_LARGE = _status(400, "The response is too large")

OBSTACLES: Mapping[str, Fault] = {
    "429, call 2": Fault(script=_status(429), calls=(2,)),
    "half a body, call 2": Fault(script=_kind("break_off"), calls=(2,)),
    "HTML, call 1": Fault(script=_kind("html"), calls=(1,)),
    "refused token, call 2": Fault(
        script=_status(400, "The page token is invalid"),
        calls=(2,),
        fails=lambda attempt: attempt.fired > 0 and not attempt.has_second_page,
        where=_never_refused,
    ),
    "short pages": Fault(script=_kind("short_page", size=1)),
    "split buckets": Fault(script=_kind("split_bucket", bucket=0), where=_never_refused, any_pages=False),
    "rows in another order": Fault(script=_all_records("reverse")),
    "buckets in another order": Fault(script=_edit({"do": "reverse", "path": "data"}), where=_never_refused),
    "refused grouping, call 1": Fault(
        script=_status(400, "user_id cannot be combined with project_id in this time range"),
        calls=(1,),
        where=lambda endpoint: bool(endpoint.refusals),
        drops=("user_id",),
    ),
    "too large, call 1": Fault(script=TOO_LARGE, calls=(1,), fails=lambda attempt: len(attempt.first_window.days) == 1),
}
"""What a fetch gets over, with few exceptions."""
FAILURES: Mapping[str, Fault] = {
    **{
        f"400, call {call}": Fault(script=_status(400), calls=(call,), fails=lambda attempt: attempt.fired > 0)
        for call in (1, 2, 3)
    },
    **{
        f"all amounts {text}": Fault(script=_all_amounts(text), fails=if_there_are_rows)
        for text in ("NaN", "1e400", "true", '"free"')
    },
    "missing buckets": Fault(script=_edit({"do": "delete", "path": "data[0]"}), fails=always, where=_bucketed),
    # elsewhere, equal rows of a page are as many records
    "rows twice": Fault(
        script=_all_records("double"), fails=if_there_are_rows, where=lambda endpoint: not is_by_page(endpoint.row)
    ),
    "503, all calls": Fault(script=_status(503), fails=always),
    "reset, all calls": Fault(script=_kind("reset"), fails=always),
    "truncated, all calls": Fault(script=_kind("truncate"), fails=always),
    "more, but no token": Fault(
        script=_edit({"do": "set", "path": "has_more", "to": True}, {"do": "set", "path": "next_page", "to": None}),
        fails=always,
    ),
    "repeated token": Fault(script=_kind("repeat_token"), fails=always),
    "bucket of another day": Fault(script=_first_bucket_of(date(2025, 11, 1)), fails=always, where=_bucketed),
    "too large, all calls": Fault(script=TOO_LARGE, fails=always),
}
"""What a fetch fails of, with few exceptions."""
NO_FAULT = Fault(script=_kind("none"))
