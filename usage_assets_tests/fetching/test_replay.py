"""What is read from the archive is what was fetched, page by page, for every endpoint."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets.core.people import People
from usage_assets.features.explain.answers import Answers as ArchivedAnswers
from usage_assets.features.explain.answers import ArchivedDay
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, packed
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets_tests.fetching.conftest import DAY, EVERY_ENDPOINT, IDS, Answers, NewClient
from usage_assets_tests.fixtures import last_days


def small_pages(endpoint: Endpoint) -> Endpoint:
    """The endpoint as it is asked for chains of several pages."""
    size = {name: "1" for name in ("limit", "page_size") if name in endpoint.params}
    return replace(endpoint, params={**endpoint.params, **size})


def archived(archive: Archive, provider: Provider, people: People) -> Replay:
    """The archived answers."""
    return Replay(archive, Scope(connection=provider.name, ids=IDS.get(provider.name, {}), people=people))


def content(fetched: FetchResult) -> list[str]:
    """What is stored of an answer, without its order."""
    return sorted(map(str, fetched.rows.to_pylist()))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An empty archive."""
    return Archive(tmp_path, max_megabytes=100, max_days=400)


def test_a_sum_is_explained_by_the_records_in_it(new_client: NewClient, archive: Archive) -> None:
    (provider, endpoint), measure = EVERY_ENDPOINT["cursor/usage_events"], "charged_cents"
    fetched = new_client(provider, keep=packed).fetch(small_pages(endpoint), [DAY])
    archive.write(fetched.responses)
    day = ArchivedDay(ArchivedAnswers(archived(archive, provider, People("ids", "key")), endpoint, endpoint.row), DAY)
    stored = max(fetched.rows.to_pylist(), key=lambda row: row[measure] or 0)
    position = day.position_of(stored)
    assert position is not None
    found = {
        variant.value
        for _, variant in day.variants([position])
        if variant.row[measure].to_pylist() != [stored[measure]]
    }
    assert len(found) > 1
    assert all(value.place.json_path.startswith("$.usageEvents[") for value in found)
    assert sum(Decimal(value.text) for value in found) == stored[measure]


def test_a_day_that_an_archived_answer_has_no_bucket_for_is_refused(
    answers: Answers, new_client: NewClient, archive: Archive
) -> None:
    """Earlier releases stored and archived such answers."""
    provider, endpoint = EVERY_ENDPOINT["openai/costs"]
    days = last_days(3)
    answers.faults(provider, endpoint, {"fault": "edit", "operations": [{"do": "delete", "path": "data[1]"}]})
    lenient = replace(endpoint, bucket_per_day=False)
    archive.write(new_client(provider, keep=packed).fetch(lenient, days).responses)
    replay = archived(archive, provider, People())
    assert replay.fetch(endpoint, days[::2]).rows.num_rows
    with pytest.raises(PermanentError, match=f"openai costs: .* no bucket for {days[1]}. It was not stored") as raised:
        replay.fetch(endpoint, days)
    assert raised.value.days == (days[1],)
