"""A plugin of pytest with what every test may use, also those of extensions, of which it imports none: one sandbox
process for the whole session, fresh and at a fixed time in each test.

``sandbox`` is all a test needs to name. Both clocks stand at NOW: the sandbox's is frozen, this process' goes on from
there, so that "yesterday" is 2026-11-19 for everybody.
"""

import atexit
import gc
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import dagster as dg
import httpx
import pytest
import time_machine
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.execution import compute_logs
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, event

from usage_assets.core.installed import EXTENSIONS
from usage_assets.models.costs import VIEWS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.found import note_altered
from usage_assets.warehouse.views import broken_views
from usage_assets_tests.alone import Refusing, is_there
from usage_assets_tests.object_store import running_object_store
from usage_assets_tests.postgres import drop, instance_in, name_of, new_database, running_postgres

sys.meta_path.insert(0, Refusing())
gc.set_threshold(100_000)  # nearly all that is collected and filled stays
atexit.register(gc.freeze)  # also when Python ends

# No test measures time: a busy machine would fail it.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")

# A shell's background job ignores Ctrl-C, and so would each process that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
assert (ROOT / "pyproject.toml").is_file()
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
TODAY = NOW.date()


IS_NIGHT = "USAGE_FIRST_SEED" in os.environ
"""Whether `make nightly` or `make release-check` runs, which play random games for longer."""
WAREHOUSE = os.environ.get("USAGE_TEST_WAREHOUSE", "file")
"""What is tested: `make test WAREHOUSE=lake` runs the tests that open a lake, and no others."""

LONGEST = (
    *("test_kill_drill", "test_golden", "test_no_false_alarm", "test_killed", "test_books"),
    *("test_removed", "test_repair", "test_lost_database", "test_settings_stay", "test_explain", "test_beside_apart"),
    *("test_printed_commands", "test_due_sensor", "test_conformance", "test_contributing"),
    *("end_to_end", "features", "stateful", "automation", "cli", "warehouse"),
)
"""Files, then folders, with tests of a minute and more. They come first: one at the end keeps one core busy."""


TOGETHER: Mapping[str, Collection[str]] = {
    path: extensions
    for path, *extensions in map(
        str.split,
        """\
    extensions/assistant/usage_assets_assistant_tests/explain/test_dollars.py finance
    extensions/assistant/usage_assets_assistant_tests/mcp/test_any_text.py finance
    extensions/assistant/usage_assets_assistant_tests/mcp/test_golden.py vendors
    extensions/assistant/usage_assets_assistant_tests/mcp/test_lake.py lake
    extensions/assistant/usage_assets_assistant_tests/query/test_command.py lake
    extensions/assistant/usage_assets_assistant_tests/query/test_mixing.py finance
    extensions/assistant/usage_assets_assistant_tests/query/test_notebook.py lake
    extensions/assistant/usage_assets_assistant_tests/query/test_untrusted.py lake
    extensions/finance/usage_assets_finance_tests/export/test_view.py vendors
    extensions/finance/usage_assets_finance_tests/focus/test_billed_twice.py vendors
    extensions/report/usage_assets_report_tests/end_to_end/audit_incidents.py finance
    extensions/report/usage_assets_report_tests/end_to_end/test_books.py finance vendors
    extensions/report/usage_assets_report_tests/end_to_end/test_incidents_in_bills.py finance vendors
    extensions/report/usage_assets_report_tests/insights/books.py finance vendors
    extensions/report/usage_assets_report_tests/insights/test_games.py finance vendors
    extensions/report/usage_assets_report_tests/insights/test_models.py vendors
    extensions/report/usage_assets_report_tests/insights/test_true_to_what_is_stored.py vendors
    extensions/report/usage_assets_report_tests/test_compared.py finance
    extensions/report/usage_assets_report_tests/test_cost_centers.py finance
    extensions/report/usage_assets_report_tests/test_effective_price.py vendors
    extensions/report/usage_assets_report_tests/test_in_port.py vendors
    extensions/report/usage_assets_report_tests/test_names.py finance
    extensions/report/usage_assets_report_tests/test_seats.py vendors
    extensions/report/usage_assets_report_tests/test_unit_costs.py vendors
    extensions/report/usage_assets_report_tests/test_what_if.py finance vendors
    usage_assets_tests/demo/test_agreement.py report
    usage_assets_tests/demo/test_demo.py report vendors
    usage_assets_tests/demo/test_graph.py report vendors
    usage_assets_tests/deploy/test_backup.py lake
    usage_assets_tests/deploy/test_deploy.py lake
    usage_assets_tests/drift vendors
    usage_assets_tests/end_to_end/test_earlier_release.py lake
    usage_assets_tests/end_to_end/test_kill_drill.py vendors
    usage_assets_tests/end_to_end/test_one_bill.py finance
    usage_assets_tests/end_to_end/test_people_of_providers.py vendors
    usage_assets_tests/end_to_end/test_secrets.py vendors
    usage_assets_tests/end_to_end/test_settings_stay.py finance
    usage_assets_tests/end_to_end/test_upgrades.py lake
    usage_assets_tests/features/alerts/test_no_false_alarm.py vendors
    usage_assets_tests/fetching/test_refusals.py vendors
    usage_assets_tests/models/test_attribution.py finance vendors
    usage_assets_tests/models/test_model_names.py finance vendors
    usage_assets_tests/models/test_same_use.py finance vendors
    usage_assets_tests/postgres.py lake
    usage_assets_tests/providers/test_recorded.py vendors
    usage_assets_tests/providers/test_recorded_over_http.py vendors
    usage_assets_tests/warehouse/conftest.py lake
    """.strip().splitlines(),
    )
}
"""Tests of what only several packages do together -> the extensions that they need. They run where these are there."""

OF_ALL = tuple(
    ROOT / "usage_assets_tests" / path.strip()
    for path in """\
        cli/test_capture.py
        config/test_accounting.py
        end_to_end/test_connections.py
        end_to_end/test_removed.py
        features/deletion/test_forgetting.py
        fetching/test_archive.py
        fetching/test_archive_files.py
        fetching/test_client.py
        fetching/test_connected.py
        fetching/test_forgotten.py
        fetching/test_listing.py
        fetching/test_one_pass.py
        fetching/test_partly.py
        models/test_checks.py
        models/test_costs.py
        models/test_views.py
        providers/test_conformance.py
        providers/test_declarations.py
        providers/test_one_folder.py
        stateful
        test_definitions.py
        test_docs.py
        warehouse/test_ledger.py
        warehouse/test_tables.py
    """.splitlines()
    if path.strip()
) + tuple(ROOT / path for path in TOGETHER if path.startswith("usage_assets_tests/"))
"""The core's tests that look at each provider, table or view that is installed, or at several packages together."""


NO_KEYS = dict.fromkeys(("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"))


def set_all(patch: pytest.MonkeyPatch, variables: Mapping[str, str | None]) -> None:
    """Set variables, or remove those that have no value."""
    for name, value in variables.items():
        if value is None:
            patch.delenv(name)
        else:
            patch.setenv(name, value)


def execute(warehouse: Warehouse, sql: str, parameters: object = None) -> None:
    """Change what is stored, behind the product's back."""
    with warehouse.get_connection() as database:
        note_altered(database)
        database.execute(sql, parameters)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is shifted."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that forgets everything at the end of the test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what divides all tests in two: those that need the core alone, and all others."""
    parser.addoption("--half", choices=["core", "others"], help="the tests of the core alone, or all others")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the tests of packages together where one is missing."""
    needed = (each for path, names in TOGETHER.items() if collection_path == ROOT / path for each in names)
    return True if not all(map(is_there, needed)) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose as the command line says. Begin with what takes longest: a worker runs a whole file."""
    kept = [item for item in items if WAREHOUSE != "lake" or opens_lake(item)]
    if half := config.getoption("half"):
        kept = [item for item in kept if is_of_core_alone(item) == (half == "core")]
    config.hook.pytest_deselected(items=[item for item in items if item not in {*kept}])
    items[:] = sorted(kept, key=place_of)


def is_of_core_alone(item: pytest.Item) -> bool:
    """Whether a test needs no extension, and its case is not about something of one."""
    is_of_core = item.path.is_relative_to(ROOT / "usage_assets_tests")
    case = item.name.removeprefix(getattr(item, "originalname", None) or item.name)
    is_marked = any(str(mark.kwargs.get("reason")).startswith("needs ") for mark in item.iter_markers("skipif"))
    is_of_all = any(item.path.is_relative_to(path) for path in OF_ALL)
    return is_of_core and not (is_of_all or is_marked or of_extensions().search(case))


@cache
def of_extensions() -> re.Pattern[str]:
    """Find a provider, command or view of an extension in the name of a test's case."""
    files = (ROOT / "extensions").glob("*/usage_assets_*/**/sql/views/*.sql")
    names = {name for path in files for name in re.findall(r"create or replace view (\S+)", path.read_text())}
    for each in EXTENSIONS.values():
        names |= {*each.providers, *each.commands}
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, sorted(names)))})(?![\w-])")


def place_of(item: pytest.Item) -> int:
    """Return the place of a test's file or folder in LONGEST."""
    return min((LONGEST.index(name) for name in (item.path.stem, *item.path.parts) if name in LONGEST), default=99)


def opens_lake(item: pytest.Item) -> bool:
    """Whether a test has its warehouse in a lake: by its fixtures."""
    fixtures, chosen = {*getattr(item, "fixturenames", ())}, getattr(item, "callspec", None)
    where = {name: chosen.params[name] for name in ("place", "warehouse") if chosen and name in chosen.params}
    return "lake" in where.values() or bool(fixtures & {"place", "lake", "new_lake", "lake_in_store"} - where.keys())


def pytest_collection_finish() -> None:
    """What is imported by now stays: let no garbage collection look at it again."""
    gc.collect()
    gc.freeze()


@event.listens_for(Engine, "connect")
def without_fsync(connection: object, _: object) -> None:
    """Tests kill processes, never the machine: what Dagster writes need not have reached the disk."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("pragma synchronous = off")


@pytest.fixture(scope="session", autouse=True)
def migrations_are_read_once() -> Iterator[None]:
    """Each instance of Dagster looks for the newest migration of its storages: to read them took 60 of its 70 ms."""
    read = ScriptDirectory.from_config
    known: dict[str | None, ScriptDirectory] = {}

    def read_once(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in known:
            known[location] = read(config)
        return known[location]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", read_once)
        yield


@pytest.fixture(scope="module")
def output_is_not_repeated() -> Iterator[None]:
    """What steps print is in its file as always. Dagster starts four processes in each run that repeat it here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute_logs, "tail_to_stream", lambda *_: nullcontext())
        yield


def last_days(count: int) -> list[date]:
    """The last ``count`` closed days before NOW, ascending."""
    return [TODAY - timedelta(days=n) for n in range(count, 0, -1)]


@dataclass(frozen=True)
class Sandbox:
    """The running sandbox and its /control switches."""

    base_url: str
    switches: httpx.Client

    def control(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Turn a switch, such as ``control("POST", "restate", {...})``; returns the decoded answer, decimals exact."""
        answer = self.switches.request(method, f"/control/{path}", json=body, params=query).raise_for_status()
        return answer.json(parse_float=Decimal)

    def truth(self, start: date, end: date) -> dict[str, dict[str, Decimal]]:
        """The true totals of the days from start to end: provider -> unit -> exact total."""
        totals = self.control("GET", "truth", start=str(start), end=str(end))["totals"]
        return {
            provider: {unit: Decimal(amount) for unit, amount in units.items()} for provider, units in totals.items()
        }

    def restate(self, provider: str, *days: date, change: str = "scale", **more: object) -> None:
        """Let a provider change days of all its reports, or of one (``endpoint="costs"``)."""
        wanted = {"provider": provider, "days": [*map(str, days)], "change": change, **more}
        self.control("POST", "restate", wanted)

    def faults(self, *faults: dict[str, Any]) -> None:
        """Script what goes wrong from now on."""
        self.control("POST", "faults", {"faults": faults})

    def refuse(self, route: str, status: int, **more: Any) -> None:
        """Answer a route with this status from now on."""
        self.faults({"route": route, "fault": "status", "status": status, **more})

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.control("DELETE", "faults")

    def requests(self) -> list[dict[str, Any]]:
        """What was asked since the test began: n, method, path, query (name and value pairs), status."""
        requests: list[dict[str, Any]] = self.control("GET", "requests")["requests"]
        return requests


@contextmanager
def running_sandbox() -> Iterator[str]:
    """A sandbox in a process of its own; yields its address."""
    command = [sys.executable, "-m", "usage_assets_sandbox", "--port", "0", "--now", NOW.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("sandbox listening on "), f"the sandbox did not start: {line!r}"
            yield line.split()[-1]
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The connection string of a PostgreSQL server of this session."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The address of an object store of this session; ``object_store.CREDENTIALS`` open it."""
    with running_object_store() as url:
        yield url


@pytest.fixture(scope="session")
def dagster_tables(postgres: str) -> str:
    """The name of a database with Dagster's tables. To copy it costs 50 ms, to make them half a second."""
    made = new_database(postgres)
    with instance_in(made):
        return name_of(made)


NewWarehouse = Callable[..., Warehouse]
"""Makes an empty warehouse in a folder, or in one of its own where none is given."""


@cache
def file_with_views() -> Path:
    """A file with all views of costs and the tables that they read, and no rows.

    Whoever writes costs first makes the views. This takes a second of CPU time, to copy the file two milliseconds.
    """
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "usage.duckdb"
    with Warehouse(database=str(file)).transaction() as database:
        assert not broken_views(database, VIEWS)
    file.chmod(0o600)  # as the command line makes it
    return file


@pytest.fixture(scope="session")
def warehouse_with_views(tmp_path_factory: pytest.TempPathFactory) -> NewWarehouse:
    """Makes a warehouse that is a copy of this file."""

    def made(folder: Path | None = None) -> Warehouse:
        return Warehouse(database=str(shutil.copy(file_with_views(), folder or tmp_path_factory.mktemp("views"))))

    return made


NewInstance = Callable[[], AbstractContextManager[dg.DagsterInstance]]
"""Opens an empty instance."""


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_instance(request: pytest.FixtureRequest) -> NewInstance:
    """Opens an empty instance: its history is in memory, or in a PostgreSQL database."""
    if request.param == "sqlite":
        return dg.DagsterInstance.ephemeral
    server, template = (request.getfixturevalue(name) for name in ("postgres", "dagster_tables"))

    @contextmanager
    def in_new_database() -> Iterator[dg.DagsterInstance]:
        database = new_database(server, template)
        with instance_in(database) as instance:
            yield instance
        drop(database)

    return in_new_database


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    """The session's sandbox. Tests use ``sandbox``, which is fresh."""
    with running_sandbox() as url, httpx.Client(base_url=url, timeout=30) as switches:
        yield Sandbox(url, switches)


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Iterator[Sandbox]:
    """The sandbox as it starts: default seed, nothing restated, no faults, nothing asked. The time is NOW."""
    sandbox_process.control("POST", "reset", {"now": NOW.isoformat()})
    with time_machine.travel(NOW):
        yield sandbox_process
