"""A stored sum is found again in the archived answers, record by record."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from usage_assets.core.people import People
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, packed
from usage_assets.fetching.scope import Scope
from usage_assets.providers.endpoint import Endpoint
from usage_assets_assistant.explain.answers import Answers, ArchivedDay
from usage_assets_tests.alone import needs
from usage_assets_tests.fetching.conftest import DAY, EVERY_ENDPOINT, IDS, NewClient, new_client

__all__ = ["new_client"]


def small_pages(endpoint: Endpoint) -> Endpoint:
    """The endpoint as it is asked for chains of several pages."""
    size = {name: "1" for name in ("limit", "page_size") if name in endpoint.params}
    return replace(endpoint, params={**endpoint.params, **size})


@needs("vendors")
def test_a_sum_is_explained_by_the_records_in_it(new_client: NewClient, tmp_path: Path) -> None:
    archive = Archive(tmp_path, max_megabytes=100, max_days=400)
    (provider, endpoint), measure = EVERY_ENDPOINT["cursor/usage_events"], "charged_cents"
    fetched = new_client(provider, keep=packed).fetch(small_pages(endpoint), [DAY])
    archive.write(fetched.responses)
    scope = Scope(connection=provider.name, ids=IDS.get(provider.name, {}), people=People("ids", "key"))
    replay = Replay(archive, scope)
    day = ArchivedDay(Answers(replay, endpoint, endpoint.row), DAY)
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
