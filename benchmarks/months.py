"""Months of running: what a day takes and what it leaves, month by month, and whether that stays flat.

Three connections at the sandbox, a home with the product's dagster.yaml, Port. Each simulated day is a process of its
own (benchmarks/daemons.py) at a clock that is moved on. Days are restated, people and projects are renamed and deleted,
and a key is refused for a week. At the end, every table and Port must be what the books say.
"""

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import time_machine

from benchmarks import daemons
from benchmarks.calibrate import calibrate
from benchmarks.commands import DATABASE, PYTHON_PATH, history_bytes, make_home
from benchmarks.figures import Figure
from benchmarks.server import running
from demo.__main__ import isolated
from demo.summary import compare_entities
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY, Window
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.fetching.connected import endpoints_of
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import copy_of
from usage_assets_report_tests.end_to_end.audit_books import Account, Content, Lookups, content, tables_of
from usage_assets_report_tests.end_to_end.audit_story import Organization
from usage_assets_sandbox import credentials
from usage_assets_sandbox.control import DEFAULT_SEED
from usage_assets_sandbox.directory import Directory
from usage_assets_sandbox.ledger import Clock, Ledger
from usage_assets_sandbox.providers import BOOKS
from usage_assets_tests.fixtures import Sandbox

FIRST = date(2026, 1, 5)
"""A Monday, and the first day that is fetched. The first simulated day is the one after it."""
MONTH = 30
HISTORY_DAYS = 30
CONNECTIONS = ("openai", "anthropic", "chatgpt")
REFUSED, REFUSED_FROM, REFUSED_DAYS = "anthropic", 62, 7
"""Whose key is refused, from which simulated day on, and for how long."""
RESTATED = (
    "openai/costs",
    "openai/usage_completions",
    "anthropic/cost_report",
    "anthropic/usage_messages",
    "anthropic/claude_code",
    "chatgpt/codex_usage",
)
CHANGES = (("scale", 2), ("scale", 3), ("remove", 1), ("add", 1))
CALIBRATED_EVERY = 5
"""Days."""
TICKS = {
    "port_changed_partitions_sensor": 8640,
    "due_days_sensor": 2880,
    "webhook_sensor": 2880,
    "report_sensor": 1440,
}
"""Sensor -> its ticks of a day."""
FLAT, FLAT_CPU = 1.1, 1.25
"""How many times that of the second month the history of the last may be, and its CPU times: they vary by more."""
GROWTH_BYTES = 300e6
"""Of history, in a year."""
MIB = 2**20


@dataclass(frozen=True)
class Standing:
    """What a home holds at the end of a day, in bytes."""

    database: int
    published: int
    archive: int
    index: int
    """Dagster's events of all runs."""
    logs: int
    """Each run's own events."""
    runs: int
    """Dagster's table of runs."""
    schedules: int
    """Ticks."""
    tick: float
    """Bytes of a tick that found nothing."""
    storage: int
    """What runs and ticks have printed."""
    other: int
    files: int

    @property
    def history(self) -> int:
        """All that is Dagster's."""
        return self.index + self.logs + self.runs + self.schedules + self.storage

    @classmethod
    def of(cls, home: Path) -> "Standing":
        """Look at a home that nothing uses."""
        history_bytes(home)
        sizes = {file.relative_to(home): file.stat().st_size for file in home.rglob("*") if file.is_file()}
        published = copy_of(home / DATABASE).relative_to(home)
        parts: Counter[str] = Counter()
        for file, size in sizes.items():
            match file.parts:
                case (name,) if name in (DATABASE, str(published)):
                    part = "database" if name == DATABASE else "published"
                case ("raw", *_):
                    part = "archive"
                case ("history", "runs", "index.db"):
                    part = "index"
                case ("history", "runs", *_):
                    part = "logs"
                case ("history", *_):
                    part = "runs"
                case ("schedules", *_):
                    part = "schedules"
                case ("storage", *_):
                    part = "storage"
                case _:
                    part = "other"
            parts[part] += size
        names = ("database", "published", "archive", "index", "logs", "runs", "schedules", "storage", "other")
        return cls(**{name: parts[name] for name in names}, tick=_tick_bytes(home), files=len(sizes))


@dataclass(frozen=True)
class Month:
    """Thirty days, the last month perhaps fewer."""

    lived: Sequence[daemons.Lived]
    stood: Sequence[Standing]
    factors: Sequence[float]

    def cpu(self) -> float:
        """CPU seconds of an average day, at factor 1."""
        return mean(day.cpu for day in self.lived) / median(self.factors)

    def tick(self, sensor: str) -> float:
        """CPU seconds of a tick that finds nothing, at factor 1."""
        return median(day.ticks[sensor] for day in self.lived) / median(self.factors)

    def load(self) -> float:
        """CPU seconds in which the definitions are loaded, at factor 1."""
        return median(day.load for day in self.lived) / median(self.factors)

    def history(self) -> float:
        """Bytes of Dagster's history, on average: what is pruned leaves now and then."""
        return mean(each.history for each in self.stood)

    def runs(self) -> float:
        """Runs of an average day."""
        return mean(sum(day.runs.values()) for day in self.lived)


def figures(days: int, *accounts: str) -> Iterator[Figure]:
    """Every month, and what is demanded of the last; of these accounts or of all. Raises RuntimeError where a run fails
    or the books differ."""
    months: list[Month] = []
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
        for month in months_of(url, Path(folder), days, *accounts):
            months.append(month)
            yield from figures_of(len(months), month)
    yield from demanded(months)


def months_of(url: str, home: Path, days: int, *accounts: str, history_days: int = HISTORY_DAYS) -> Iterator[Month]:
    """Live through days in a process of its own, which compares the books at the end."""
    settings = make_home(home, url, *accounts) | {
        "USAGE_START_DATE": str(FIRST),
        "USAGE_HISTORY_DAYS": str(history_days),
        "USAGE_WEBHOOK_URL": f"{url}/control/requests/clear",  # takes any JSON, and keeps the sandbox's log short
        "PYTHONPATH": PYTHON_PATH,
    }
    configuration = home / "dagster.yaml"
    launcher = "module: usage_assets.local.workers\n  class: WatchedRunLauncher"
    ours = f"module: {daemons.__name__}\n  class: {daemons.InThisProcess.__name__}"
    if launcher not in (text := configuration.read_text()):
        raise RuntimeError(f"{configuration} does not name our launcher")
    configuration.write_text(text.replace(launcher, ours))
    command = [sys.executable, "-m", __name__, url, str(days)]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=home, env={**isolated(os.environ), **settings}, stdout=subprocess.PIPE, text=True
    ) as process:
        lived: list[dict[str, Any]] = []
        for line in process.stdout or ():
            lived.append(json.loads(line))
            if len(lived) % MONTH == 0 or len(lived) == days:
                yield _month(lived[-((len(lived) - 1) % MONTH + 1) :])
    if process.returncode or len(lived) < days:
        raise RuntimeError(f"it ended on day {len(lived)} of {days}; see above")


def _month(said: Sequence[Mapping[str, Any]]) -> Month:
    return Month(
        [daemons.Lived(**day["lived"]) for day in said],
        [Standing(**day["stood"]) for day in said],
        [day["factor"] for day in said if day["factor"]],
    )


def figures_of(n: int, month: Month) -> Iterator[Figure]:
    """What a month has left, and what its days took."""
    last, days = month.stood[-1], len(month.lived)
    for what, size in (
        ("database", last.database),
        ("published copy", last.published),
        ("archive", last.archive),
        ("other files", last.other),
        ("Dagster's history", last.history),
        ("history: index.db", last.index),
        ("history: logs of runs", last.logs),
        ("history: runs.db", last.runs),
        ("history: schedules.db", last.schedules),
        ("history: storage", last.storage),
    ):
        yield Figure(name=f"month {n}: {what}", ours=size / MIB, unit="MiB", note=f"after {days} days")
    jobs = sum((Counter(day.runs) for day in month.lived), Counter[str]())
    ran = ", ".join(f"{count / days:.1f} {job}" for job, count in jobs.most_common())
    yield Figure(name=f"month {n}: files of the home", ours=last.files, unit="")
    yield Figure(
        name=f"month {n}: CPU of a day", ours=month.cpu(), unit="s", note=f"at factor 1; {month.runs():.1f} runs: {ran}"
    )
    yield Figure(name=f"month {n}: load of the definitions, CPU", ours=month.load(), unit="s", note="at factor 1")
    for sensor in month.lived[-1].ticks:
        note = f"CPU at factor 1, with the daemon's part; {last.tick:.0f} bytes"
        yield Figure(name=f"month {n}: idle tick of {sensor}", ours=month.tick(sensor) * 1000, unit="ms", note=note)


def demanded(months: Sequence[Month]) -> Iterator[Figure]:
    """What the last month must be beside the second: history, ticks and CPU time stay, and a year adds little."""
    if len(months) < 3:
        return
    second, last = months[1], months[-1]
    note = "theirs: the second month"
    yield Figure(
        name="history of the last month, on average",
        ours=last.history() / MIB,
        theirs=second.history() / MIB,
        unit="MiB",
        demanded=1 / FLAT,
        note=note,
    )
    for name, ours, theirs in (
        ("CPU of a day in the last month", last.cpu(), second.cpu()),
        *((f"idle tick of {name} in the last month", last.tick(name), second.tick(name)) for name in TICKS),
        ("load of the definitions in the last month", last.load(), second.load()),
    ):
        yield Figure(name=name, ours=ours, theirs=theirs, unit="s", demanded=1 / FLAT_CPU, note=note)
    whole = [month for month in months if len(month.stood) == MONTH]
    if len(whole) < 3:
        return
    grown = (whole[-1].history() - whole[1].history()) / (len(whole) - 2) * 365 / MONTH
    yield Figure(
        name="history that a year adds",
        ours=max(grown, 0) / 1e6,
        theirs=GROWTH_BYTES / 1e6,
        unit="MB",
        demanded=1,
        note=f"after pruning, from the {len(whole) - 2} whole months after the second; theirs: what is allowed",
    )
    idle = sum(ticks - last.lived[-1].played[sensor] for sensor, ticks in TICKS.items())
    yield Figure(
        name="a day's idle ticks that were not played",
        ours=idle * last.stood[-1].tick / MIB,
        unit="MiB",
        note="beside the rest in schedules.db; they go after a day",
    )


# --- In a process of its own ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """The company at the sandbox, with a copy of its books."""

    url: str
    organization: Organization
    accounts: Sequence[Account]
    lookups: Lookups

    @classmethod
    def of(cls, url: str, last: date) -> "Story":
        """The company whose books are open until a day."""
        clock = Clock(datetime.combine(last, time(23), UTC))
        ledger, settings = Ledger(DEFAULT_SEED, clock, BOOKS), Settings.load()
        sandbox = Sandbox(url, httpx.Client(base_url=url, timeout=30))
        accounts = [
            Account(each.name, each.provider, ledger, endpoints=names)
            for each in settings.connections()
            if each.key and (names := [endpoint.name for endpoint in endpoints_of(PROVIDERS[each.provider], each)])
        ]
        return cls(url, Organization(sandbox, ledger, Directory(DEFAULT_SEED, clock)), accounts, Lookups())

    def move_to(self, moment: datetime) -> None:
        """Let it be this moment at the sandbox."""
        httpx.post(f"{self.url}/control/clock", json={"now": moment.isoformat()}).raise_for_status()

    def begin(self, n: int, day: date, days: int) -> None:
        """What happens at the company and to its providers before the n-th day's schedules."""
        self.move_to(datetime.combine(day, time(), UTC))
        chance = Random(n)  # noqa: S311 - the same story each time
        for name in chance.sample(RESTATED, 2):
            self._restate(name, day - DAY * chance.randint(2, 6), chance)
        if day.weekday() == 5 and n < days:  # read again on Sunday, by the weekly schedule alone
            self._restate(chance.choice(RESTATED), day - DAY * chance.randint(10, 20), chance)
        if n % MONTH == 10:
            self.organization.change("openai", "projects", 0, "rename", f"Checkout of day {n}")
        if n % MONTH == 20:
            self.organization.change("anthropic", "workspaces", 0, "rename", f"Workspace of day {n}")
        if n % MONTH == 15:
            self.organization.change("openai", "users", -1, "delete")
        if n % MONTH == 25:
            self.organization.change("openai", "project_api_keys", -1, "delete")
        if n == REFUSED_FROM:
            route = {"route": f"GET /{REFUSED}/", "fault": "status", "status": 401}
            self.organization.sandbox.faults(route)
        if n == REFUSED_FROM + REFUSED_DAYS:
            self.organization.sandbox.control("DELETE", "faults")
        for account in self.accounts:
            self.lookups.note(account, self.organization.directory.lists.get(account.provider, {}))

    def _restate(self, name: str, day: date, chance: Random) -> None:
        if day >= FIRST:
            self.organization.restate(name, day, *chance.choice(CHANGES))

    def compare(self, window: Window, now: datetime) -> None:
        """Compare every table and Port with the books. Raises RuntimeError."""
        expected: dict[str, Content] = {}
        for account in self.accounts:
            for day in window.days:
                for (table, _), rows in tables_of(account, day, (), self.lookups).items():
                    stamped = [{"connection": account.name, "usage_date": day, **row} for row in rows]
                    expected.setdefault(table, Counter()).update(content(stamped))
        with time_machine.travel(now, tick=True):
            settings = Settings.load()
            warehouse = Warehouse(database=str(settings.warehouse.file))
            stored = warehouse.read("select distinct table_name from ledger.stored_days")["table_name"].to_pylist()
            wrong = [f"{table}: not in the books" for table in {*stored} - expected.keys()]
            for table, theirs in expected.items():
                ours = content(warehouse.read(f"select * from {table}").to_pylist())  # noqa: S608 - a table of ours
                if ours != theirs:
                    wrong.append(f"{table}: has {[*(ours - theirs)][:1]}, not {[*(theirs - ours)][:1]}")
            with PortClient(f"{self.url}/port", credentials.PORT_CLIENT_ID, credentials.PORT_CLIENT_SECRET) as port:
                found = compare_entities(warehouse, port, dict.fromkeys(CONNECTIONS, window))
            wrong += [f"Port: {each}" for each in found if each.missing or each.different or each.unknown]
            due = due_days(warehouse, seeds_of(settings))
            wrong += [f"due: {each}" for each in due if each.state not in ("open", "unsettled")]
        if wrong:
            raise RuntimeError("\n".join(wrong))


def live(url: str, days: int) -> Iterator[Mapping[str, Any]]:
    """Live through days, each in a process of its own; yield what each took. Raises RuntimeError."""
    home, story = Path(os.environ["DAGSTER_HOME"]), Story.of(url, FIRST + DAY * days)
    for n in range(1, days + 1):
        day = FIRST + DAY * n
        story.begin(n, day, days)
        lived: daemons.Lived = in_a_process(partial(daemons.live_through, day, story.move_to))
        is_refused = REFUSED_FROM <= n < REFUSED_FROM + REFUSED_DAYS
        if failed := [each for each in lived.failed if not (is_refused and each[1] == REFUSED)]:
            raise RuntimeError(f"{day}: failed runs {failed}")
        factor = in_a_process(partial(calibrate, 1)).factor if n % CALIBRATED_EVERY == 1 else None
        stood: Standing = in_a_process(partial(Standing.of, home))
        yield {"lived": asdict(lived), "stood": asdict(stood), "factor": factor}
    window = Window(FIRST, FIRST + DAY * (days - 1))
    in_a_process(partial(story.compare, window, datetime.combine(window.last + DAY, time(23, 30), UTC)))


def in_a_process(work: Callable[[], Any]) -> Any:
    """Do something in a fork, so that memory and open files of a day end with it. Raises RuntimeError."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(work, there))
    process.start()
    there.close()
    try:
        done, result = here.recv()
    except EOFError:
        done, result = False, "the process died"
    process.join()
    if not done:
        raise RuntimeError(result)
    return result


def _send(work: Callable[[], Any], there: Connection) -> None:
    with Path(os.devnull).open("w") as nothing:
        for stream in (1, 2):  # what runs log here; the history has it
            os.dup2(nothing.fileno(), stream)
    try:
        there.send((True, work()))
    except BaseException:
        there.send((False, traceback.format_exc()))
        raise


def _tick_bytes(home: Path) -> float:
    with closing(sqlite3.connect(home / "schedules" / "schedules.db")) as database:
        query = "select avg(length(tick_body)) from job_ticks where status = 'SKIPPED'"
        return float(database.execute(query).fetchone()[0] or 0)


def main() -> None:
    """Print a line of JSON for each day."""
    for day in live(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(day), flush=True)


if __name__ == "__main__":
    main()
