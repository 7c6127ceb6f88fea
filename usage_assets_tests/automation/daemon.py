"""Ticks of a sensor over a real warehouse and a real instance, whose runs are moved from state to state."""

import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster._core.definitions.events import Failure
from dagster._core.execution.plan.objects import StepFailureData, UserFailureData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id

from usage_assets.assets.failures import failure
from usage_assets.assets.lookups import used_ids
from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.core.days import MOST_DAYS, Window, windows
from usage_assets.core.schema import Row, to_arrow
from usage_assets.fetching.transport import PermanentError
from usage_assets.models.connection_graph import graph_of, seeds_of
from usage_assets.models.due import due_days, in_words, question_of
from usage_assets.providers import PROVIDERS
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs, CostsControl
from usage_assets.providers.openai.lookups import Projects
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.held import let_go
from usage_assets.warehouse.late import note_late
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_tests.fixtures import NewWarehouse

LOCATION = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("usage_assets"), "__repository__")
ON = ("costs", "usage_completions")
COSTS, IMAGES = ("costs",), ("usage_images",)
"""What is enough where assets do not matter: less is computed from costs alone, and nothing from images alone."""
OPENAI = """
[[connection]]
name = "openai"
provider = "openai"
key = "env:A_KEY"
start_date = {start}
{more}
[connection.endpoints]
{switches}
"""


def openai(start: str = "2026-11-12", more: str = "", on: Collection[str] = ON) -> str:
    """A connection whose history is eight days: costs, completions and what is derived from them."""
    off = (endpoint.name for endpoint in PROVIDERS["openai"].endpoints if endpoint.name not in on)
    return OPENAI.format(start=start, more=more, switches="\n".join(f"{name} = false" for name in off))


@dataclass
class Daemon:
    """What Dagster's daemon does with a tick: keeps the cursor, launches each run key once. Its runs store what the
    product's would, from a provider that has nothing but one dollar a day."""

    folder: Path
    instance: dg.DagsterInstance
    kept: Any
    """Copies of the instance's history."""
    clock: time_machine.Traveller
    cursor: str | None = None
    said: str | None = None
    told: dict[str, str] = field(default_factory=dict)
    """The days of all costs that the last tick has told of, with their data versions."""
    variables: dict[str, Any] = field(default_factory=dict)
    amounts: dict[date, Decimal] = field(default_factory=dict)
    """What the provider says of a day, where it is not a dollar."""
    ids: dict[date, dict[str, Any]] = field(default_factory=dict)
    """Whose the costs of OpenAI's days are, where the provider says so."""
    sensor: str = "due_days_sensor"
    archived_at: datetime | None = None
    """When the answers were stored in the archive, where they come from there."""

    def __post_init__(self) -> None:
        """Write a connections file."""
        self.write(openai())

    def write(self, text: str) -> None:
        """Write the connections file."""
        (self.folder / "connections.toml").write_text(text)

    @cached_property
    def settings(self) -> Settings:
        """The settings as they were when they were loaded."""
        return Settings.load(
            _env_file=None,
            usage_connections=self.folder / "connections.toml",
            usage_warehouse=str(self.folder / "usage.duckdb"),
            **self.variables,
        )

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The graph of the settings. Equal settings share one where they are read at the same time, which it states."""
        stated = (self.folder / "connections.toml").read_text()
        name = f"{datetime.now(UTC)} {self.settings!r} {self.settings.connections()} {stated}"
        return BUILT.get(name) or BUILT.setdefault(name, build_definitions(self.settings))

    def load(self, text: str, **variables: Any) -> None:
        """Reload the code location with this connections file."""
        self.write(text)
        self.variables |= variables
        for loaded in ("settings", "definitions"):
            self.__dict__.pop(loaded, None)
        assert self.definitions

    def load_finished(self, text: str | None = None, **variables: Any) -> None:
        """Load this connections file and store all that is due, as ``finish`` does, or copy what that has stored."""
        self.load(text or openai(), **variables)
        name = f"{text} {variables}"
        if name in FINISHED:
            self.cursor = FINISHED[name].put_into(self.file, self.kept)
        else:
            self.finish()
            FINISHED[name] = Finished(self.file.read_bytes(), self.kept.copy(), self.cursor)

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse."""
        return Warehouse(database=str(self.settings.warehouse.file))

    @property
    def file(self) -> Path:
        """Its file, closed until the next use."""
        let_go(self.warehouse.database)
        return self.settings.warehouse.file

    def later(self, **time: float) -> None:
        """Let so much time pass."""
        self.clock.shift(timedelta(**time))

    def tick(self) -> list[str]:
        """Run one tick; return what it launched, as ``openai 2026-11-17..2026-11-19``."""
        repository = self.definitions.get_repository_def()
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=repository,
            resources={"warehouse": repository.get_top_level_resources()["warehouse"]},
        ) as context:
            data = self.definitions.resolve_sensor_def(self.sensor).evaluate_tick(context)
        self.cursor, self.said = data.cursor, data.skip_message
        told = [each for each in data.asset_events if isinstance(each, dg.AssetMaterialization)]
        self.told = {each.partition or "": (each.tags or {})["dagster/data_version"] for each in told}
        return [described(request.tags) for request in data.run_requests or [] if self.launch(request)]

    def launch(self, request: dg.RunRequest) -> bool:
        """Queue the requested run, unless a run of this key exists already: Dagster never launches a key again."""
        tags = {**request.tags, "dagster/run_key": request.run_key or ""}
        if self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": tags["dagster/run_key"]})):
            return False
        self.queue(request.job_name or USAGE_JOB, tags, request.asset_selection or ())
        return True

    def queue(self, job: str, tags: Mapping[str, str], assets: Iterable[dg.AssetKey]) -> dg.DagsterRun:
        """Queue a run."""
        run = dg.DagsterRun(
            job,
            make_new_run_id(),
            status=dg.DagsterRunStatus.QUEUED,
            tags=dict(tags),
            asset_selection=frozenset(assets),
            remote_job_origin=RemoteJobOrigin(LOCATION, job),
        )
        return self.instance.add_run(run)

    def under_way(self) -> list[dg.DagsterRun]:
        """The runs that have not ended."""
        return [run for run in self.instance.get_runs() if not run.is_finished]

    def end(self, kind: dg.DagsterEventType) -> None:
        """Let the runs under way end, whatever they have stored."""
        for run in self.under_way():
            self.instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)

    def succeed(self) -> None:
        """Let the runs under way store what they are for, and succeed."""
        for run in self.under_way():
            if window := window_of(run.tags):
                self.store(window, {key.to_user_string() for key in run.asset_selection or ()})
        self.end(dg.DagsterEventType.RUN_SUCCESS)

    def fail(self, asset: str = "openai/costs", *days: str, reason: str = "refused") -> None:
        """Let the runs under way fail for an asset, and of these days where any are named. The rest is stored, but not
        what is computed from the asset."""
        key = dg.AssetKey.from_user_string(asset)
        for run in self.under_way():
            refused = failure(reason, map(date.fromisoformat, days))
            watched = {each.to_user_string() for each in run.asset_selection or ()}
            window = window_of(run.tags)
            self.store(window, watched - {asset, *self.computed_from(asset)})
            served = {*map(str, window.days)}.difference(days) if window and days else ()
            for part in windows(map(date.fromisoformat, served), MOST_DAYS):
                self.store(part, {asset})
            self.refuse(run, key, refused)
        self.end(dg.DagsterEventType.RUN_FAILURE)

    def be_late(self, late: date) -> None:
        """Let the runs under way store what they are for, but a day of images that the provider does not serve yet;
        they succeed."""
        for run in self.under_way():
            if window := window_of(run.tags):
                note_late(
                    self.warehouse, ["openai.usage_images"], "openai", {late: PermanentError("no report")}, run.run_id
                )
                for part in windows(set(window.days) - {late}, len(window.days)):
                    self.store(part, {key.to_user_string() for key in run.asset_selection or ()})
        self.end(dg.DagsterEventType.RUN_SUCCESS)

    def refuse(self, run: dg.DagsterRun, key: dg.AssetKey, refused: Failure) -> None:
        """Let a step of a run fail."""
        told: Any = UserFailureData, StepFailureData  # their constructors have no types
        data = told[1](None, told[0]("refused", refused.description, refused.metadata))
        event = dg.DagsterEvent(
            dg.DagsterEventType.STEP_FAILURE.value,
            run.job_name,
            step_key=key.to_python_identifier(),
            event_specific_data=data,
        )
        self.instance.report_dagster_event(event, run.run_id)

    def computed_from(self, asset: str) -> Collection[str]:
        """What is computed from an asset."""
        graph = self.definitions.resolve_asset_graph()
        key = dg.AssetKey.from_user_string(asset)
        downstream = dg.AssetSelection.assets(key).downstream(include_self=False)
        return {each.to_user_string() for each in downstream.resolve(graph)}

    def store(self, window: Window | None, assets: Collection[str] | None = None) -> None:
        """Store days of assets, all of them unless some are named, as the product's runs do."""
        assert window
        money, _ = seeds_of(self.settings)
        connections = self.settings.connections()
        for connection in connections:
            graph = graph_of(connection, money)
            target = Slice(connection.name, window.first, window.last)
            for endpoint in graph.endpoints:
                if assets is None or f"{connection.name}/{endpoint.name}" in assets:
                    self.fetch(endpoint.row, target, question=question_of(endpoint, connection))
            for derived, query in graph.models:
                if assets is None or derived.asset_of(connection.name) in assets:
                    part = Slice(connection.name, window.first, window.last, derived.part)
                    self.warehouse.replace(Table(derived.row), query, part, "run")

    def fetch(self, row: type[Row], target: Slice, **facts: Any) -> None:
        """Store days of a raw table."""
        rows: list[Row] = []
        totals: list[Row] = []
        for day in target.days:
            common: dict[str, Any] = {"connection": target.connection, "usage_date": day}
            amount = self.amounts.get(day, Decimal(1))
            if row is Costs:
                ids = self.ids.get(day, {})
                rows.append(Costs(**common, **ids, amount_value=amount, amount_currency="usd", grouped_by=""))
                totals.append(CostsControl(**common, amount_value=amount, amount_currency="usd"))
            elif row is CodexUsage:
                rows.append(CodexUsage(**common, cut="user", workspace_id="ws", user_id="u", credits=amount))
        control = (Table(CostsControl), to_arrow(CostsControl, totals)) if totals else None
        stored_at = dict.fromkeys(target.days, self.archived_at) if self.archived_at else {}
        answer = Batch(
            rows=to_arrow(row, rows),
            began=datetime.now(UTC),
            control=control,
            settling_days=7,
            stored_at=stored_at,
            **facts,
        )
        self.warehouse.replace(Table(row), answer, target, "run")

    def look_up(self, **names: str) -> None:
        """Store which projects OpenAI lists now: id -> name."""
        as_of = datetime.now(UTC)
        items = [Projects(connection="openai", id=id_, valid_from=as_of, name=name) for id_, name in names.items()]
        record(self.warehouse, Table(Projects), to_arrow(Projects, items), "openai", as_of, used_ids("openai"))

    @contextmanager
    def from_archive(self, stored_at: datetime) -> Iterator[None]:
        """Let the provider's answers come from the archive, where they were stored at this time."""
        self.archived_at = stored_at
        yield
        self.archived_at = None

    def finish(self) -> list[str]:
        """Tick and let every run succeed, until there is nothing more to do; return what was launched."""
        launched: list[str] = []
        while more := self.tick():
            launched += more
            self.succeed()
        return launched

    def due(self) -> dict[str, list[str]]:
        """What is due and why, in words; unsettled days left out."""
        due = [
            each for each in due_days(self.warehouse, seeds_of(self.settings, "always")) if each.state != "unsettled"
        ]
        return {name: list(words) for name, words in in_words(due).items()}


@dataclass(frozen=True)
class Finished:
    """What a daemon has left behind."""

    file: bytes
    history: Any
    cursor: str | None

    def put_into(self, file: Path, kept: Any) -> str | None:
        """Make file and history what they were then; return the cursor."""
        file.write_bytes(self.file)
        kept.remember(self.history)
        return self.cursor


BUILT: dict[str, dg.Definitions] = {}
"""Settings and day -> their graph."""
FINISHED: dict[str, Finished] = {}
"""Connections file and variables -> what is there when everything was fetched at NOW."""


@dataclass(frozen=True)
class History:
    """An instance whose history is in memory, and copies of that."""

    instance: dg.DagsterInstance

    @property
    def databases(self) -> Sequence[sqlite3.Connection]:
        """Its databases."""
        storages: Any = self.instance.run_storage, self.instance.event_log_storage
        return [storage._held_conn.connection.driver_connection for storage in storages]

    def copy(self) -> Sequence[sqlite3.Connection]:
        """Copy them."""
        copies = []
        for stored in self.databases:
            copies.append(sqlite3.connect(":memory:"))
            stored.backup(copies[-1])
        return copies

    def remember(self, history: Sequence[sqlite3.Connection]) -> None:
        """Make them what they were when these copies were made."""
        for stored, memory in zip(history, self.databases, strict=True):
            stored.backup(memory)


def window_of(tags: Mapping[str, str]) -> Window | None:
    """The days that a run is for."""
    with suppress(KeyError):
        first, last = (date.fromisoformat(tags[f"dagster/asset_partition_range_{end}"]) for end in ("start", "end"))
        return Window(first, last)
    return None


def described(tags: Mapping[str, str]) -> str:
    """Say in words what a run is for."""
    window = window_of(tags)
    return f"{tags['usage_assets/connection']} {window.first}..{window.last}" if window else "accounting"


def days(first: str, last: str = "") -> Window:
    """Days of November, or one."""
    return Window(date.fromisoformat(f"2026-11-{first}"), date.fromisoformat(f"2026-11-{last or first}"))


@pytest.fixture(scope="module")
def kept() -> Iterator[History]:
    """An instance in which nothing has run yet."""
    FINISHED.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield History(instance)


@pytest.fixture(scope="module")
def empty(kept: History) -> Any:
    """A copy of its history, from before anything ran."""
    return kept.copy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all daemons, one after the other: settings that name it are equal."""
    return tmp_path_factory.mktemp("daemon")


@pytest.fixture
def daemon(
    clock: time_machine.Traveller,
    kept: History,
    empty: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    warehouse_with_views: NewWarehouse,
) -> Iterator[Daemon]:
    """A daemon with an empty instance and a database with no row. To make its views would take each test a second.

    The file stays open between uses: to open and close it each time takes a third of the time.
    """
    monkeypatch.setenv("A_KEY", "very-secret")
    for file in folder.iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    kept.remember(empty)
    with warehouse_with_views(folder).held():
        yield Daemon(folder, kept.instance, kept, clock)
