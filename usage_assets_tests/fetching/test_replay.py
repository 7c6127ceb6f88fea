"""What is read from the archive is what was fetched, page by page, for every endpoint."""

from dataclasses import replace
from pathlib import Path

import pytest

from usage_assets.core.people import People
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, packed
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Provider
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT, IDS, Answers, NewClient
from usage_assets_tests.fixtures import last_days


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
