"""Large answers: one body in memory at a time, items that become rows one after the other, texts as dictionaries."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError, Event, current_thread

import pytest

from usage_assets.core.days import Window
from usage_assets.fetching import one_pass
from usage_assets.fetching import page_parser as reading_module
from usage_assets.fetching import transport as transport_module
from usage_assets.fetching.client import Client
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.transport import Request
from usage_assets_tests.fetching.conftest import DAY, ENDPOINTS, Answers, NewClient
from usage_assets_tests.fixtures import last_days

COSTS = ENDPOINTS["openai/costs"]


def use(client: Client, meeting: Barrier, stop: Event) -> str:
    """Get a page whose use ends when somebody else uses one, too, or nobody does; returns the name of its thread."""

    def read(_content: bytes) -> str:
        meeting.wait()
        return current_thread().name

    _, endpoint = COSTS
    params = [*endpoint.window_params(Window(DAY, DAY)).items()]
    request = Request(read=read, place="here", stop=stop, on_retry=lambda: None)
    return client.transport.get(endpoint.path, params, request)


def use_two(client: Client, meeting: Barrier) -> list[str]:
    """Use two pages at once; returns the names of their threads."""
    with ThreadPoolExecutor(2, "fetch") as pool:
        return [used.result() for used in [pool.submit(use, client, meeting, Event()) for _ in range(2)]]


def test_large_bodies_are_read_and_used_one_after_the_other(
    new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "LARGE_BODY", 100)
    with pytest.raises(BrokenBarrierError):
        use_two(new_client(COSTS[0]), Barrier(2, timeout=0.1))
    names = use_two(new_client(COSTS[0]), Barrier(1))
    assert names == ["large-openai_0"] * 2  # one thread, so that one thread's memory grows


@pytest.mark.parametrize("builds_each_row", [False, True], ids=["in one pass", "one by one"])
@pytest.mark.parametrize("rows_at_once", [1, 7, 100_000])
def test_a_page_gives_the_same_rows_however_many_are_packed_at_once(
    answers: Answers, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, rows_at_once: int, builds_each_row: bool
) -> None:
    provider, endpoint = COSTS
    expected = new_client(provider).fetch(endpoint, last_days(2)).rows
    assert expected.num_rows > 14
    monkeypatch.setattr(PageParser, "builds_each_row", builds_each_row)
    for module in (reading_module, one_pass):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", rows_at_once)
    assert new_client(provider).fetch(endpoint, last_days(2)).rows.to_pylist() == expected.to_pylist()
