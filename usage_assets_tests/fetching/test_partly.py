"""A fetch of a range leaves out the days that are refused, whatever refuses them, and has all rows of the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from usage_assets.core.days import Window
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, packed
from usage_assets.fetching.client import MOST_REFUSALS, FetchResult
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import NotServedYetError, PermanentError, ProviderError, TransientError
from usage_assets_tests.alone import needs
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT, Answers
from usage_assets_tests.fetching.refusals import edit, put
from usage_assets_tests.fixtures import last_days

DAYS = last_days(6)
BAD = DAYS[2]
WORDS = "this day is being computed again"
REFUSED = {"fault": "status", "body": {"error": {"message": WORDS}}}


@dataclass(frozen=True)
class Refusal:
    """What refuses a day of a range."""

    name: str
    endpoint: str
    script: dict[str, Any]
    calls: Sequence[int] | None = None
    kind: type[ProviderError] = PermanentError
    bad: Sequence[date] = (BAD,)


REFUSALS = (
    Refusal("a wrong amount", "openai/costs", edit(put("data[2].results[0].amount.value", "much")), [1]),
    Refusal("a wrong amount without grouping", "openai/costs", edit(put("data[2].results[0].amount.value", "x")), [2]),
    Refusal(
        "a wrong amount without grouping of all days",
        "openai/costs",
        edit(*(put(f"data[{n}].results[0].amount.value", "x") for n in range(6))),
        [*range(2, 99)],
        bad=DAYS,
    ),
    Refusal("one of two cuts", "chatgpt/codex_usage", edit("delete data[2].totals"), [2]),
    Refusal("no bucket", "openai/usage_completions", edit("delete data[2]"), [1]),
    Refusal(
        "a refusal that does not say which day",
        "openai/usage_completions",
        {"fault": "ungroupable", "dimension": "model", "days": [str(BAD)], "message": WORDS},
    ),
    Refusal("a window of one day", "anthropic/claude_code", REFUSED | {"status": 400}, [3]),
    Refusal(
        "no answer after the last attempt",
        "anthropic/claude_code",
        REFUSED | {"status": 503},
        [3, 4],
        TransientError,
        DAYS[2:],
    ),
    Refusal(
        "a cut that does not add up",
        "anthropic_analytics/usage_by_agent",
        edit("delete data[0]"),
        [1, 3],
        bad=DAYS[:1],
    ),
    Refusal(
        "figures that end before it",
        "anthropic_analytics/usage_report",
        edit(put("data_refreshed_at", f"{DAYS[4]}T00:00:00Z")),
        kind=NotServedYetError,
        bad=DAYS[4:],
    ),
    Refusal("no report", "github_copilot/users_1_day", REFUSED | {"status": 204}, [3], NotServedYetError),
)


def content(fetched: FetchResult) -> list[str]:
    """What is stored of an answer, without its order."""
    return sorted(map(str, fetched.rows.to_pylist()))


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(each, id=each.name, marks=[needs("vendors")] if each.name == "no report" else [])
        for each in REFUSALS
    ],
)
def test_the_other_days_are_as_without_it(answers: Answers, refusal: Refusal) -> None:
    provider, endpoint = EVERY_ENDPOINT[refusal.endpoint]
    others = [day for day in DAYS if day not in refusal.bad]
    # one window after the other, so that the calls of a fault are those of its script
    expected = fetch_with_totals(answers.new_client(provider), endpoint, others)
    answers.faults(provider, endpoint, refusal.script | ({"calls": refusal.calls} if refusal.calls else {}))
    client = answers.new_client(provider, concurrency=1, keep=packed)
    found = fetch_with_totals(client, endpoint, DAYS, partly=True)
    assert {day: type(error) for day, error in found.not_fetched.items()} == dict.fromkeys(refusal.bad, refusal.kind)
    assert content(found) == content(expected)
    assert str(found.totals.to_pylist()) == str(expected.totals.to_pylist())
    covered = {day for each in found.responses for day in Window(each.asked.first, each.asked.last).days}
    assert covered == {*others}


def test_a_range_that_is_refused_day_by_day_is_not_asked_for_day_by_day(answers: Answers) -> None:
    provider, endpoint = EVERY_ENDPOINT["openai/usage_completions"]
    bad, asked = last_days(31), len(answers.sandbox.requests())
    script = {"fault": "ungroupable", "dimension": "model", "days": [*map(str, bad)], "message": WORDS}
    answers.faults(provider, endpoint, script)
    found = answers.new_client(provider).fetch(endpoint, bad, partly=True)
    assert [*found.not_fetched] == bad
    assert len(answers.sandbox.requests()) - asked < 2 * MOST_REFUSALS


def test_what_refuses_the_connection_refuses_all_days(answers: Answers) -> None:
    for status in (
        401,
        403,
        404,
        429,
    ):
        provider, endpoint = EVERY_ENDPOINT["anthropic/claude_code"]
        answers.faults(provider, endpoint, REFUSED | {"status": status, "calls": [3, 4]})
        with pytest.raises(ProviderError) as raised:
            answers.new_client(provider, concurrency=1).fetch(endpoint, DAYS, partly=True)
        assert not raised.value.days


def test_a_day_that_an_archived_answer_has_no_bucket_for_is_refused(answers: Answers, tmp_path: Path) -> None:
    """Earlier releases stored and archived such answers."""
    (provider, endpoint), days = EVERY_ENDPOINT["openai/costs"], DAYS[:3]
    answers.faults(provider, endpoint, edit("delete data[1]"))
    lenient = replace(endpoint, bucket_per_day=False)
    archive = Archive(tmp_path, max_megabytes=100, max_days=400)
    archive.write(answers.new_client(provider, keep=packed).fetch(lenient, days).responses)
    replay = Replay(archive, Scope(connection=provider.name))
    assert replay.fetch(endpoint, days[::2]).rows.num_rows
    with pytest.raises(PermanentError, match=f"openai costs: .* no bucket for {days[1]}. It was not stored") as raised:
        replay.fetch(endpoint, days)
    assert raised.value.days == (days[1],)
