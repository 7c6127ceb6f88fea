"""An assistant's SQL runs in a process with hard limits, while other tools answer."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.mcp import asking
from usage_assets_assistant.mcp.caged import query
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import LIMITS, Store
from usage_assets_assistant_tests.mcp.test_figures import ALL, spending, structured

TEAMS = "select team, sum(amount_usd) as usd from costs.by_team where cost_basis = 'billed' group by all order by all"
MEMORY = "takes more than 2400 MB of memory, or nests too deep: simplify it"


@pytest.fixture(scope="module")
def store(address: WarehouseAddress) -> Iterator[Store]:
    store = Store(address, Sight(key="a key"))
    yield store
    store.close()


def process_of(store: Store) -> int:
    assert store.cage._process
    return store.cage._process.pid


def test_what_takes_too_much_ends_in_one_line_and_the_next_question_is_answered(store: Store) -> None:
    for sql in (
        "select length(repeat('a', 2000000000))",
        "select unhex(repeat('41', 600000000))",
        "select length(repeat(repeat('a', 1000000), 3000)) from costs.by_team",
    ):
        with pytest.raises(WarehouseError, match=f"^{MEMORY}$"):
            query(store, sql, ALL, None)
    with store.opened() as opened:
        expected = asking.query(opened, TEAMS, ALL, None)
    assert structured(query(store, TEAMS, ALL, None)) == structured(expected)
    with pytest.raises(WarehouseError, match="the function stats is not allowed"):
        query(store, "select stats(provider) from costs.by_team", ALL, None)
    with pytest.raises(WarehouseError, match=r"^Invalid Input Error: Invalid input for hex digit: .$"):
        query(store, "select unhex('é')", ALL, None)  # DuckDB quotes half of the letter


def test_the_process_has_limits_and_no_environment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.cage.close()
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "a secret")
    query(store, "select 1", ALL, None)
    folder = Path("/proc", str(process_of(store)))
    assert (folder / "environ").read_text() == "LC_CTYPE=C.UTF-8\0TZ=UTC\0"
    assert "/pandas/" not in (folder / "maps").read_text()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (folder / "limits").read_text().splitlines()}
    assert limits["Max address space"] == [str(LIMITS.memory_bytes)] * 2
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    seconds = int(limits["Max cpu time"][0])
    assert LIMITS.cpu_seconds < seconds < LIMITS.cpu_seconds + 60, "those that it had used, and those of the question"


def test_other_tools_answer_while_a_query_runs(store: Store) -> None:
    query(store, "select 1", ALL, None)
    os.kill(process := process_of(store), signal.SIGSTOP)  # a query that does not end
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(query, store, TEAMS, ALL, None)
        with store.opened() as opened:
            assert spending(opened, "team")["rows"]
        assert not running.done()
        os.kill(process, signal.SIGCONT)
        assert structured(running.result())["rows"]
