"""The whole product in one object: the real definitions on the sandbox, a DuckDB file and an ephemeral instance."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

import dagster as dg
import httpx
import msgspec
import pytest
import time_machine

from demo.summary import COSTS, UNITS
from usage_assets.automation.jobs import LOOKUPS_JOB, PORT_SYNC_JOB, USAGE_JOB, range_tags
from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.schema import declared
from usage_assets.core.warehouse_address import LAKE
from usage_assets.features.port.graph import PORT_CONNECTION_JOB
from usage_assets.models.entities import OF_INSIGHTS
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse, write_ahead_log
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.tables import Table
from usage_assets_tests.alone import needs
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.executed import executed
from usage_assets_tests.fixtures import NOW, WAREHOUSE, Sandbox, file_with_views, last_days
from usage_assets_tests.port_user import port_user
from usage_assets_tests.postgres import drop_lake, is_lake, lake_of, name_of, new_database, overwrite

__all__ = ["ephemeral_instances_keep_their_connection"]

CONNECTIONS = ("openai", "anthropic", "chatgpt", "openai_legacy")
PUSHED = ("openai", "anthropic", "chatgpt")
"""The last one has no entities: the first tells of the same use."""
IMPATIENT: Mapping[str, float] = {"attempts": 2, "base_delay": 0.01, "read_timeout": 0.5}
"""HTTP clients that give up at once."""
WITHOUT_DAYS = {CONNECTION, *(each.name for each in OF_INSIGHTS)}
"""Blueprints of what is in no table of entities."""
ONE_PLAN_PER_ASSET = ("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "true")
"""A variable for runs of many days: a third of their events only say of each day that it is planned."""
OF_RAW = {
    f"{table.partition('.')[0]} {unit}": f"select {Table(declared(table)).totals[total].sql} as total from {table}"
    for table, units in UNITS.items()
    for unit, total in units.items()
    if table.partition(".")[0] in CONNECTIONS
}
OF_COSTS = {
    f"{provider} {unit}": f"select {sql} as total from costs.daily_costs where provider = '{provider}'"
    for provider, sums in COSTS.items()
    for unit, sql in sums.items()
    if provider in CONNECTIONS and unit not in ("usd", "cents")
}
SERVER = "USAGE_TEST_LAKES"
"""Variable of the PostgreSQL server of the lakes that projects are opened on; without it they are in files."""
TOTALS: Mapping[str, str] = {
    name: f"sum(total)::varchar from ({of_day} group by usage_date)" for name, of_day in (OF_RAW | OF_COSTS).items()
}
"""Every unit of the sandbox's books, as our tables have it."""


def sandbox_environment(base_url: str, warehouse: Path) -> dict[str, str]:
    """The environment of a user whose accounts are the sandbox's; instead of the file, the lake of its folder."""
    return {
        "OPENAI_ADMIN_KEY": "sk-admin-sandbox",
        "OPENAI_BASE_URL": f"{base_url}/openai/v1",
        "ANTHROPIC_ADMIN_KEY": "sk-ant-admin-sandbox",
        "ANTHROPIC_BASE_URL": f"{base_url}/anthropic",
        "CHATGPT_ANALYTICS_KEY": "chatgpt-sandbox-key",
        "CHATGPT_WORKSPACE_ID": "ws-sandbox",
        "CHATGPT_BASE_URL": f"{base_url}/chatgpt",
        "PORT_CLIENT_ID": "sandbox-client-id",
        "PORT_CLIENT_SECRET": "sandbox-client-secret",
        "PORT_BASE_URL": f"{base_url}/port",
        "USAGE_WAREHOUSE": str(warehouse),
        "USAGE_BACKFILL_HISTORY": "false",
        **in_place(warehouse.parent),
    }


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment."""
    return Settings.load(_env_file=None, **{name.lower(): value for name, value in environment.items()})


def settings_in(sandbox: Sandbox, folder: Path, variables: Mapping[str, str]) -> Settings:
    """The settings of a project in a folder."""
    return settings_of({**sandbox_environment(sandbox.base_url, folder / "usage.duckdb"), **variables})


def with_everything(folder: Path, *but: str) -> dict[str, str]:
    """Variables with which ``openai`` also fetches what is off by default, and the old endpoints are asked, too."""
    session = folder / "session.key"
    session.write_text("sess-sandbox")
    legacy = f'[[connection]]\nname = "openai_legacy"\nprovider = "openai_legacy"\nkey = "file:{session}"\n'
    return _with_openai(folder, {"usage_decisions": True, **dict.fromkeys(but, False)}, legacy)


def with_main_endpoints(folder: Path) -> dict[str, str]:
    """Variables with which ``openai`` fetches costs and completions: for what is not about endpoints."""
    return with_endpoints(folder, "costs", "usage_completions")


def with_endpoints(folder: Path, *names: str) -> dict[str, str]:
    """Variables with which ``openai`` fetches these endpoints only."""
    return _with_openai(folder, {endpoint.name: endpoint.name in names for endpoint in PROVIDERS["openai"].endpoints})


def _with_openai(folder: Path, endpoints: Mapping[str, bool], others: str = "") -> dict[str, str]:
    key, connections = folder / "openai.key", folder / "connections.toml"
    key.write_text("sk-admin-sandbox")
    switches = ", ".join(f"{name} = {str(is_on).lower()}" for name, is_on in endpoints.items())
    connections.write_text(
        f'[[connection]]\nname = "openai"\nprovider = "openai"\nkey = "file:{key}"\nendpoints = {{ {switches} }}\n'
        f"{others}"
    )
    return {"OPENAI_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(connections)}


@dataclass(frozen=True)
class Project:
    """The product as its user has it."""

    sandbox: Sandbox
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    warehouse: Warehouse
    keeps_open: bool = True
    """Whether the file stays open while a run opens and closes it: that is a third of what a run of few rows takes."""
    checks: bool = False
    """Whether runs also show as checks what is verified anyhow: that is half of what a run of many days takes."""

    def fetch(self, connection: str, days: list[date], *assets: str) -> dg.ExecuteInProcessResult:
        """Run a connection's usage assets (or those named) for contiguous days, as a range run does."""
        keys = [key for key in self.keys_of(USAGE_JOB) if key.path[0] == connection]
        wanted = [key for key in keys if not assets or "/".join(key.path[1:]) in assets]
        return self.run(USAGE_JOB, wanted, days)

    def look_up(self, connection: str, *lookups: str) -> dg.ExecuteInProcessResult:
        """Run a connection's lookups (or those named)."""
        keys = [key for key in self.keys_of(LOOKUPS_JOB) if key.path[0] == connection]
        return self.run(LOOKUPS_JOB, [key for key in keys if not lookups or key.path[-1] in lookups])

    def keys_of(self, job: str) -> set[dg.AssetKey]:
        """The assets of a job."""
        return set(self.definitions.resolve_job_def(job).asset_layer.executable_asset_keys)

    def fetch_all(self, days: list[date]) -> None:
        """Run every connection; all must succeed."""
        for connection in sorted({key.path[0] for key in self.keys_of(USAGE_JOB)}):
            assert self.fetch(connection, days).success

    def push(self, days: list[date]) -> None:
        """Push every connection that has entities; all must succeed."""
        for connection in PUSHED:
            assert self.push_of(connection, days).success

    def push_of(self, connection: str, days: list[date]) -> dg.ExecuteInProcessResult:
        """Push one connection."""
        return self.run(PORT_SYNC_JOB, [dg.AssetKey([connection, "port_sync"])], days)

    def push_state_of(self, connection: str) -> dg.ExecuteInProcessResult:
        """Tell Port how a connection's data is."""
        return self.run(PORT_CONNECTION_JOB, [dg.AssetKey([connection, "port_connection"])])

    def run(
        self, job: str, keys: list[dg.AssetKey], days: list[date] | None = None, **tags: str
    ) -> dg.ExecuteInProcessResult:
        """Run some assets of a job."""
        definition = self.definitions.resolve_job_def(job)
        if self.checks:
            definition = definition.get_subset(asset_selection={*keys})
        else:
            assets = [asset for asset in self.definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]
            own = {check for asset in assets for check in asset.check_keys if check.asset_key in keys}
            definition = definition.get_subset(asset_selection={*keys}, asset_check_selection=own)
        with self.warehouse.get_connection() if self.keeps_open else nullcontext():
            return executed(
                definition,
                self.instance,
                run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},  # of each event, otherwise
                tags={**(range_tags(days[0], days[-1]) if days else {}), **tags},
            )

    def totals(self) -> dict[str, Decimal]:
        """Our totals of everything that is stored, by the names of the sandbox's books."""
        return self.totals_of(*TOTALS)

    def totals_of(self, *names: str) -> dict[str, Decimal]:
        """Some of them."""
        totals = {name: self.warehouse.read(f"select {TOTALS[name]}").column(0)[0].as_py() for name in names}
        return {name: Decimal(total) for name, total in totals.items() if total is not None}

    def truth(self, days: list[date]) -> dict[str, Decimal]:
        """The sandbox's totals of the days: of the providers that every project asks."""
        truth = self.sandbox.truth(days[0], days[-1])
        return {f"{name} {unit}": amount for name in CONNECTIONS for unit, amount in truth[name].items()}

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table."""
        found: list[dict[str, Any]] = self.warehouse.read(f"select * from {table} order by all").to_pylist()
        return found

    def hashes(self) -> dict[tuple[str, str, str, date], str]:
        """What each day of each table holds now."""
        return {
            (row["table_name"], row["slice"], row["connection"], row["usage_date"]): row["content_hash"]
            for row in self.rows("ledger.stored_days")
        }

    def tables(self) -> list[str]:
        """Every data table."""
        found = self.warehouse.read("select distinct table_name from ledger.stored_days order by all")
        names: list[str] = found.column(0).to_pylist()
        return names

    def content(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every data table."""
        return {table: self.rows(table) for table in self.tables()}

    def port_requests(self) -> list[dict[str, Any]]:
        """What Port was asked."""
        return [request for request in self.sandbox.requests() if request["path"].startswith("/port/")]

    def in_port(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every entity of the emulated Port that has a day: (blueprint, identifier) -> title and properties, exact."""
        with port_user(self.sandbox) as user:
            blueprints = [blueprint["identifier"] for blueprint in user.call("GET", "/blueprints")["blueprints"]]
            return {
                (blueprint, entity["identifier"]): {"title": entity["title"], **entity["properties"]}
                for blueprint in blueprints
                if blueprint not in WITHOUT_DAYS
                for entity in user.search(blueprint)
            }

    def entities(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every row of ``port_entities.*``, in the same form."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for table in (table for table in self.tables() if table.startswith("port_entities.")):
            for row in self.rows(table):
                identifier = row.pop("identifier")
                del row["connection"], row["usage_date"]
                if "model_breakdown" in row:
                    row["model_breakdown"] = msgspec.json.Decoder(float_hook=Decimal).decode(row["model_breakdown"])
                found[table.removeprefix("port_entities."), identifier] = row
        return found


on_both = pytest.mark.parametrize("place", ["file", pytest.param("lake", marks=needs("lake"))], indirect=True)
"""Runs a test on a file and on a lake. Others run on a file, or on what is tested (WAREHOUSE)."""
on_file = pytest.mark.parametrize("place", ["file"], indirect=True)
"""Runs a test that is about files on a file."""


@pytest.fixture(autouse=True)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Where projects have their warehouse."""
    with placed(request, tmp_path):
        yield


@contextmanager
def placed(request: pytest.FixtureRequest, folder: Path) -> Iterator[None]:
    """Let projects have their warehouse where the fixture is told to. What lies next to a file is in the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(SERVER, raising=False)
        if getattr(request, "param", WAREHOUSE) == "lake":
            patch.setenv(SERVER, request.getfixturevalue("postgres"))
            patch.chdir(folder)
        yield


def in_place(folder: Path) -> dict[str, str]:
    """Variables of the lake of a folder; none where projects are in files. The archive is where it is with a file."""
    server = os.environ.get(SERVER)
    return lake_of(server, folder) | {"USAGE_ARCHIVE": str(folder / "raw")} if server else {}


def another(folder: Path) -> dict[str, str]:
    """Variables of an empty warehouse beside that of the folder, with the same archive."""
    server = os.environ.get(SERVER)
    return lake_of(server, folder / "again") if server else {"USAGE_WAREHOUSE": str(folder / "again.duckdb")}


def saved(warehouse: Warehouse) -> Callable[[], None]:
    """Save what is stored; what is returned brings it back, as from a backup. Nobody uses the warehouse meanwhile."""
    if is_lake(warehouse):
        catalog = warehouse.database.removeprefix(LAKE)
        warehouse.detach()
        template = name_of(new_database(os.environ[SERVER], name_of(catalog)))

        def bring_back() -> None:
            warehouse.detach()
            overwrite(catalog, template)  # what it knows of files stays: they are never changed, and none is removed

        return bring_back
    folder = Path(warehouse.database).parent
    files = {file: file.read_bytes() for file in folder.glob("*.duckdb")}

    def write_again() -> None:
        for file in folder.glob("*.duckdb*"):
            file.unlink()
        for file, content in files.items():
            file.write_bytes(content)

    return write_again


def lose(warehouse: Warehouse) -> None:
    """Lose everything that is stored."""
    if is_lake(warehouse):
        drop_lake(warehouse)
        return
    for file in (Path(warehouse.database), write_ahead_log(Path(warehouse.database))):
        file.unlink(missing_ok=True)


@contextmanager
def open_project(
    sandbox: Sandbox,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    *,
    has_views: bool = True,
    **options: Any,
) -> Iterator[Project]:
    """Open a project with its warehouse in ``folder``; ``variables`` are set besides the sandbox's.

    A new file has the views already, or gets them as a user's does (``has_views=False``).
    """
    environment = sandbox_environment(sandbox.base_url, folder / "usage.duckdb") | dict(variables or {})
    settings = settings_of(environment)
    warehouse = warehouse_at(settings.warehouse)
    if has_views and not warehouse.is_shared and not Path(warehouse.database).exists():
        copyfile(file_with_views(), warehouse.database)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(sandbox, build_definitions(settings, **options), instance, warehouse)
    if is_lake(warehouse):  # otherwise each question about tables goes through all lakes of this process
        warehouse.detach()


@contextmanager
def hold_project(
    sandbox: Sandbox, folder: Path, variables: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Project]:
    """Open a project whose database file stays open: for tests that leave the file alone."""
    with open_project(sandbox, folder, variables, **options) as opened, opened.warehouse.get_connection():
        yield opened


def fill_once(filled: Path, folder: Path, fill: Callable[[], object]) -> None:
    """Fill a folder and keep a copy of what is there, or, the next time, get it from the copy. No lake is in it.

    It is filled an hour before the tests: each begins NOW, and what it got would otherwise be of a time to come.
    """
    if filled.exists() and not os.environ.get(SERVER):
        copytree(filled, folder, dirs_exist_ok=True)
        return
    with time_machine.travel(NOW - timedelta(hours=1)):
        fill()
    if not os.environ.get(SERVER):
        copytree(folder, filled)


@dataclass(frozen=True)
class Prepared:
    """A project that was filled once. Each test gets its files, its Dagster and its Port as they were then."""

    project: Project
    bring_back: Callable[[], None]
    """Brings the warehouse back, with its published copy."""
    calls: Sequence[httpx.Request]
    """What has filled Port."""

    @contextmanager
    def again(self, sandbox: Sandbox) -> Iterator[Project]:
        """Bring everything back, on a fresh sandbox."""
        self.bring_back()
        with port_user(sandbox) as user:
            user.repeat(self.calls)
        with dg.DagsterInstance.ephemeral() as instance:
            for name in ("_run_storage", "_event_storage"):
                before, now = (getattr(each, name)._held_conn.connection for each in (self.project.instance, instance))
                before.backup(now.driver_connection)
            yield replace(self.project, instance=instance)


@contextmanager
def calls_to_port() -> Iterator[list[httpx.Request]]:
    """Record the calls that fill Port."""
    calls: list[httpx.Request] = []
    send = httpx.Client.send

    def recording(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        reads = ("/auth/access_token", "/search", "/count")
        if request.url.path.startswith("/port/") and request.method != "GET" and not request.url.path.endswith(reads):
            calls.append(request)
        return send(client, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", recording)
        yield calls


PUSHED_DAYS = last_days(3)
PUSHED_ASSETS = ("cost_report", "usage_messages", "entities/claude_cost_record", "entities/claude_model_usage")


@pytest.fixture(scope="session")
def pushed_once(
    request: pytest.FixtureRequest, sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prepared]:
    """Three days of some entities of Anthropic, stored and pushed."""
    folder = tmp_path_factory.mktemp("pushed")
    sandbox_process.control("POST", "reset", {"now": NOW.isoformat()})
    with ExitStack() as prepared:
        with placed(request, folder):
            opened = open_project(sandbox_process, folder, with_main_endpoints(folder), patience=IMPATIENT)
            project = prepared.enter_context(opened)
            with time_machine.travel(NOW - timedelta(hours=1)), calls_to_port() as calls:  # before each test
                assert project.fetch("anthropic", PUSHED_DAYS, *PUSHED_ASSETS).success
                assert project.push_of("anthropic", PUSHED_DAYS).success
            bring_back = saved(project.warehouse)
        yield Prepared(project, bring_back, calls)


@pytest.fixture
def pushed(pushed_once: Prepared, sandbox: Sandbox) -> Iterator[Project]:
    """A project, which gives up at once, with three days of some entities of Anthropic, stored and pushed."""
    with pushed_once.again(sandbox) as project:
        yield project


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A fresh project on a fresh sandbox, with every endpoint switched on."""
    with hold_project(sandbox, tmp_path, with_everything(tmp_path)) as opened:
        yield opened


@pytest.fixture
def small_project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A fresh project with the main endpoints only."""
    with hold_project(sandbox, tmp_path, with_main_endpoints(tmp_path)) as opened:
        yield opened


@pytest.fixture
def impatient_project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A fresh project with the main endpoints only, whose HTTP clients give up at once."""
    with hold_project(sandbox, tmp_path, with_main_endpoints(tmp_path), patience=IMPATIENT) as opened:
        yield opened
