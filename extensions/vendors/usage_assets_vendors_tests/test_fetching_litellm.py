"""Numbered pages: each has a part of the figures of a day, and a row is the sum of its parts."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets.core.people import People
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, packed
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.fetching.conftest import DAY, EVERY_ENDPOINT, OVER_HTTP, Answers, NewClient
from usage_assets_tests.fetching.refusals import edit, put

EVERY = {name: pair for name, pair in OVER_HTTP.items() if pair[0].name == "litellm"}


def rows_of(fetched: FetchResult) -> list[str]:
    """Rows in an order of their own."""
    return sorted(map(str, fetched.rows.to_pylist()))


def of_rows(endpoint: Endpoint, count: int) -> Endpoint:
    """The endpoint in pages of so many rows of the proxy's table."""
    return replace(endpoint, params={"page_size": str(count)})


def test_small_pages_add_up_to_a_large_one(new_client: NewClient) -> None:
    for name, (provider, endpoint) in EVERY.items():
        client = new_client(provider)
        whole = client.fetch(endpoint, [DAY])
        assert whole.requests == 1, name
        for count in (1, 3):
            in_pages = client.fetch(of_rows(endpoint, count), [DAY])
            assert in_pages.requests > 1, name
            assert rows_of(in_pages) == rows_of(whole), name


def test_pages_that_do_not_belong_together_are_refused(answers: Answers) -> None:
    provider, endpoint = EVERY["litellm/user_activity"]
    for path, value, words in [
        ("metadata.page", 1, "the page token repeats"),
        ("metadata.total_pages", 99, "while it was read: . pages, then 99"),
    ]:
        answers.faults(provider, endpoint, edit(put(path, value)) | {"calls": [*range(2, 30, 2)]})
        with pytest.raises(PermanentError, match=words):
            answers.new_client(provider).fetch(of_rows(endpoint, 1), [DAY])
        answers.sandbox.mend()


def test_no_amount_passes_through_a_float(answers: Answers) -> None:
    digits = "0.123456789012345678901234"
    for name, (provider, endpoint) in EVERY.items():
        body = answers.real(provider, endpoint)
        day = body["results"][0]
        for part in (day, *day["breakdown"]["entities"].values()):
            part["metrics"]["spend"] = Decimal(digits)
        answers.replace(provider, endpoint, body)
        rows = answers.new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()
        assert Decimal(digits) in {row["spend"] for row in rows}, name


BY_MODEL = EVERY_ENDPOINT["litellm/tag_activity_by_model"]


def test_each_model_of_a_day_is_asked_for_alone_and_its_tags_add_up_to_those_of_the_day(new_client: NewClient) -> None:
    client = new_client(BY_MODEL[0])
    fetched = client.fetch(BY_MODEL[1], [DAY])
    rows = fetched.rows.to_pylist()
    models = {row["model"] for row in rows}
    assert fetched.requests == 1 + len(models) > 2
    of_tags: dict[str, list[Decimal | int]] = {}
    for row in rows:
        sums = of_tags.setdefault(row["tag"], [Decimal(0), 0])
        of_tags[row["tag"]] = [sums[0] + row["spend"], sums[1] + row["api_requests"]]
    _, by_tag = EVERY["litellm/tag_activity"]
    assert of_tags == {
        row["tag"]: [row["spend"], row["api_requests"]] for row in client.fetch(by_tag, [DAY]).rows.to_pylist()
    }
    in_pages = client.fetch(of_rows(BY_MODEL[1], 1), [DAY])
    assert rows_of(in_pages) == rows_of(fetched)
    assert in_pages.requests == 2 * len(rows)


@pytest.mark.parametrize("is_idle", [False, True])
def test_the_archive_has_what_was_fetched(answers: Answers, tmp_path: Path, is_idle: bool) -> None:
    archive = Archive(tmp_path, max_megabytes=100, max_days=400)
    if is_idle:
        answers.replace(*BY_MODEL, *[answers.real(*BY_MODEL) | {"results": []}] * 2)
    fetched = answers.new_client(BY_MODEL[0], keep=packed).fetch(BY_MODEL[1], [DAY])
    assert (fetched.rows.num_rows == 0) == is_idle
    archive.write(fetched.responses)
    again = Replay(archive, Scope(connection="litellm", people=People("ids", "key"))).fetch(BY_MODEL[1], [DAY])
    assert rows_of(again) == rows_of(fetched)


def test_an_answer_about_several_models_is_refused_as_nobody_knows_whose_tags_they_are(answers: Answers) -> None:
    everything = answers.real(*BY_MODEL)
    answers.replace(*BY_MODEL, everything, everything)
    with pytest.raises(PermanentError, match=r"\d models in the answer for one: the proxy does not know the parameter"):
        answers.new_client(BY_MODEL[0]).fetch(BY_MODEL[1], [DAY])
