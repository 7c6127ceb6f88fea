"""OpenRouter's rows: which model they are of, and which part of the day."""

from datetime import UTC, datetime
from typing import Any

import pytest

from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.transport import PermanentError
from usage_assets_tests.fetching.conftest import DAY, OVER_HTTP, Answers

PROVIDER, ACTIVITY = OVER_HTTP["openrouter/activity"]


def fetched(answers: Answers, *changes: dict[str, Any]) -> FetchResult:
    """What a day is whose rows are the day's first one, each with some of its fields changed."""
    body = answers.real(PROVIDER, ACTIVITY)
    answers.replace(PROVIDER, ACTIVITY, body | {"data": [body["data"][0] | each for each in changes]})
    return answers.new_client(PROVIDER).fetch(ACTIVITY, [DAY])


def test_a_row_without_a_model_is_of_the_version_that_it_names(answers: Answers) -> None:
    [row] = fetched(answers, {"model": None, "model_permaslug": "openai/gpt-5-2026-08-07"}).rows.to_pylist()
    assert row["model"] == row["model_permaslug"] == "openai/gpt-5-2026-08-07"


def test_a_row_without_a_model_and_its_version_is_refused(answers: Answers) -> None:
    with pytest.raises(PermanentError, match=r"data\[0\]"):
        fetched(answers, {"model": None, "model_permaslug": None})


@pytest.mark.parametrize(
    ("stated", "moment"),
    [
        (f"{DAY} 00:00:00", None),
        (f"{DAY}T00:00:00Z", None),
        (f"{DAY} 12:34:56", datetime(DAY.year, DAY.month, DAY.day, 12, 34, 56, tzinfo=UTC)),
        (f"{DAY}T14:00:00+02:00", datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)),
    ],
)
def test_a_row_may_be_of_a_moment_of_its_day(answers: Answers, stated: str, moment: datetime | None) -> None:
    [row] = fetched(answers, {"date": stated}).rows.to_pylist()
    assert (row["usage_date"], row["stated_at"]) == (DAY, moment)


@pytest.mark.parametrize("stated", [f"{DAY}T01:00:00+02:00", "yesterday", None, 1794614400])
def test_a_row_of_another_day_is_refused(answers: Answers, stated: object) -> None:
    with pytest.raises(PermanentError, match="is not the requested day"):
        fetched(answers, {"date": stated})
