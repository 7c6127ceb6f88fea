"""What happens to the hosts of the drill, and what must stand after each step."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import psycopg

from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.core.schema import declared
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets.warehouse.slices import Slice, in_slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_lake.warehouse import SPACE
from usage_assets_lake_tests.distributed.cluster import UNFINISHED, Cluster, program, wait
from usage_assets_lake_tests.distributed.network import DrillError, Forward, Host
from usage_assets_lake_tests.lake_drill import overtaken
from usage_assets_tests.end_to_end.conftest import Project
from usage_assets_tests.end_to_end.kill_drill import compared
from usage_assets_tests.end_to_end.shards import PLACES, location
from usage_assets_tests.fixtures import Sandbox
from usage_assets_tests.port_user import port_user

DAILY, RECONCILE = ("daily_usage_schedule", USAGE_JOB), ("weekly_reconcile_schedule", PORT_RECONCILE_JOB)
SHARED_TABLE = "costs.daily_costs"
"""What all hosts write."""
PROVIDERS = {"main": "openai", "east": "anthropic", "west": "chatgpt"}
"""Host -> whom it asks."""
MONEY = ("accounting.owners", "accounting.currencies")
LONGEST_WAIT = 120
"""Seconds after which nobody may be waiting any more for a host that was cut off."""
BOOKS = ("openai usd", "openai input_tokens", "anthropic cents", "anthropic output_tokens", "chatgpt credits")
LEFT = """
select
  (select count(distinct connection) from ledger.assets) as connections,
  (select count(*) from ledger.due_days where state in ('missing', 'stale')) as due
"""
STORED = "select distinct table_name, slice, connection from ledger.stored_days"
SAID = """
select usage_date, content_hash
from ledger.stored_days
where table_name = $table and slice = $part and connection = $connection and row_count > 0
"""
IN_LINE = "client_addr = %(address)s and wait_event_type = 'Lock' and wait_event like %(event)s"
HOLDS = """
datname = 'usage' and client_addr = %(address)s and (xact_start is not null or (locktype = 'advisory' and granted))
"""


@dataclass(frozen=True)
class Story:
    """The hosts, what they share, and the days that are played."""

    cluster: Cluster
    sandbox: Sandbox
    outside: Forward
    ours: Project
    """What the hosts store together."""
    one: Project
    """One location with a file, which fetches everything at the end."""
    days: list[date]
    """The last of them is yesterday."""
    say: Callable[[str], object]

    def play(self) -> None:
        """Let everything happen. Raises DrillError at the first difference."""
        for step in (
            self.history_is_fetched,
            self.the_daily_tick_runs_where_the_connection_lives,
            self.a_restatement_is_found_and_pushed,
            self.what_people_did_in_port_is_repaired,
            self.a_connection_in_two_shards_is_refused,
            self.a_host_is_cut_off_in_mid_write,
            self.postgres_is_restarted_in_mid_transaction,
            self.everything_is_what_one_location_stores,
        ):
            began = time.monotonic()
            said = step()
            self.say(f"{step.__name__.replace('_', ' ')} ({time.monotonic() - began:.0f} s): {said}")

    def history_is_fetched(self) -> str:
        self.sandbox.control(
            "POST", "port", {"unauthenticated_limit": 10_000}
        )  # the drill itself signs in for each look
        self.cluster.start_daemon()
        self.settled()
        equal("failed runs", self.cluster.runs(statuses=["FAILURE", "CANCELED"]), {})
        days = self.ours.warehouse.read("select count(*) from ledger.stored_days").column(0)[0]
        return f"{days} days of {len(self.ours.tables())} tables, {len(self.cluster.runs())} runs"

    def the_daily_tick_runs_where_the_connection_lives(self) -> str:
        self.outside.asked.clear()
        self.cluster.succeed(self.cluster.tick(DAILY))
        asked = {(caller, path) for caller, path in self.outside.asked if path in PROVIDERS.values()}
        expected = {(self.cluster.hosts[host].address, provider) for host, provider in PROVIDERS.items()}
        equal("who asked which provider", asked, expected)
        newest = "select connection, max(usage_date) as day from ledger.stored_days group by all order by all"
        stored = {row["connection"]: row["day"] for row in self.ours.warehouse.read(newest).to_pylist()}
        equal("the newest days", stored, dict.fromkeys(PLACES, self.days[-1]))
        self.settled()
        return "each provider was asked by the host of its connection alone"

    def a_restatement_is_found_and_pushed(self) -> str:
        before = self.ours.in_port()
        self.restate(self.days[1])
        self.cluster.succeed(self.cluster.tick(DAILY))
        self.settled()
        changed = "select distinct connection from ledger.restatements where usage_date = $day order by all"
        found = self.ours.warehouse.read(changed, {"day": self.days[1]}).column(0).to_pylist()
        equal("whose restatement was found", found, sorted(PLACES))
        now = self.ours.in_port()
        return f"{sum(before.get(key) != now[key] for key in now)} entities were sent again"

    def what_people_did_in_port_is_repaired(self) -> str:
        before = self.ours.in_port()
        touched = list({blueprint: (blueprint, identifier) for blueprint, identifier in sorted(before)}.values())
        with port_user(self.sandbox) as user:
            for n, (blueprint, identifier) in enumerate(touched):
                if n % 2:
                    user.delete(blueprint, identifier)
                else:
                    user.edit(blueprint, identifier, {"title": "Edited"})
        self.cluster.succeed(self.cluster.tick(RECONCILE))
        equal("what is in Port", self.ours.in_port(), before)
        return f"{len(touched)} edited or deleted entities are back"

    def a_connection_in_two_shards_is_refused(self) -> str:
        west, day, before = self.cluster.west, str(self.days[0]), self.ours.hashes()
        (west.folder / "wrong").mkdir()
        wrong = location(west.folder / "wrong", "west", {**PLACES, "claude": "west"})
        command = ("backfill", "--start", day, "--end", day, "--connection", "claude")
        done = west.run(program("usage-assets"), *command, **wrong)
        reason = "connection claude is in shard west here, but another code location states shard east"
        if not done.returncode or reason not in done.stdout:
            raise DrillError(f"west has run a connection of east, or was refused for another reason: {done.stdout}")
        equal("what is stored", self.ours.hashes(), before)
        return reason

    def a_host_is_cut_off_in_mid_write(self) -> str:
        east, postgres = self.cluster.east, self.cluster.postgres
        self.restate(self.days[2])
        with postgres.connect() as table, postgres.connect() as catalog:
            table.execute(f"select pg_advisory_lock({SPACE}, hashtext('{SHARED_TABLE}'))")
            cut_off_run = self.cluster.tick(DAILY, "east")
            wait("east in line for a table", partial(self.waits, east, "advisory"))
            others = self.cluster.tick(DAILY, "main", "west")
            for host in (self.cluster.main, self.cluster.west):
                wait(f"{host.name} in line behind it", partial(self.waits, host, "advisory"))
            with stalled(catalog):
                table.close()
                wait("east in the middle of a commit", partial(self.waits, east, "relation"))
                east.cut_off()
                cut_off = time.monotonic()
        wait("the end of what east held", lambda: not postgres.count(HOLDS, address=east.address), LONGEST_WAIT)
        freed = time.monotonic() - cut_off
        self.cluster.succeed(others)
        waited = time.monotonic() - cut_off
        self.no_day_is_partial()
        east.connect()
        self.cluster.finished(cut_off_run)
        self.settled()
        return f"its locks were free after {freed:.0f} s, the others had stored their days after {waited:.0f} s"

    def postgres_is_restarted_in_mid_transaction(self) -> str:
        postgres = self.cluster.postgres
        self.restate(self.days[3])
        with postgres.connect() as catalog, stalled(catalog):
            runs = self.cluster.tick(DAILY)
            for host in self.cluster.hosts.values():
                wait(f"{host.name} in the middle of a commit, or in line behind it", partial(self.waits, host))
            postgres.stop_at_once()
        postgres.start()
        failed = [run for run, status in self.cluster.finished(runs).items() if status != "SUCCESS"]
        reasons = [reason for run in failed for reason in self.cluster.reasons(run)]
        self.no_day_is_partial()
        self.settled()
        self.cluster.succeed(self.cluster.tick(DAILY))
        self.settled()
        return f"{len(failed)} of {len(runs)} runs failed: {min(reasons, default='')}"

    def everything_is_what_one_location_stores(self) -> str:
        for connection in PLACES:
            if not self.one.fetch(connection, self.days).success:
                raise DrillError(f"one location cannot fetch {connection}")
        content = self.one.content()
        if difference := compared(self.ours, content, self.one.entities()):
            raise DrillError(difference)
        for table in MONEY:
            equal(table, self.ours.rows(table), self.one.rows(table))
        equal("the hashes of days", self.ours.hashes(), self.one.hashes())
        truth = self.ours.truth(self.days)
        equal("the totals", self.ours.totals_of(*BOOKS), {name: truth[name] for name in BOOKS})
        self.no_day_is_partial()
        equal("commits that were overtaken although their turn had come", overtaken(self.cluster.postgres.log), 0)
        rows, entities = sum(map(len, content.values())), len(self.ours.in_port())
        return f"{rows} rows of {len(content)} tables, {entities} entities and {len(BOOKS)} totals are equal"

    def restate(self, day: date) -> None:
        """Let every provider say one row more of a day: it may have had none, and then nothing else changes it."""
        for provider in PROVIDERS.values():
            self.sandbox.control("POST", "restate", {"provider": provider, "days": [str(day)], "change": "add"})

    def waits(self, host: Host, event: str = "%") -> int:
        return self.cluster.postgres.count(IN_LINE, address=host.address, event=event)

    def settled(self) -> None:
        """Wait until nothing is left to do. Raises DrillError with what is left, and why runs have failed."""
        try:
            wait("what is left to do", lambda: not self.left(), pause=1)
        except DrillError as error:
            reasons = [" ".join(self.cluster.reasons(run)) for run in self.cluster.runs(statuses=["FAILURE"])]
            raise DrillError(f"{error}: {self.left()}; {' | '.join(reasons)}") from None

    def left(self) -> str:
        """Say what is still to be done: by runs, by the sensors, in Port."""
        if runs := self.cluster.runs(statuses=UNFINISHED):
            return f"the end of {len(runs)} runs"
        try:
            [(connections, due)] = [row.values() for row in self.ours.warehouse.read(LEFT).to_pylist()]
            different = self.ours.in_port() != self.ours.entities()
        except WarehouseError as error:
            return str(error)
        if connections < len(PLACES) or due:
            return f"{due} due days of {connections} connections"
        return "what has changed since the last push to Port" if different else ""

    def no_day_is_partial(self) -> None:
        """Each stored day holds the rows that its version says, by their hash."""
        with self.ours.warehouse.transaction(keep=False) as database:
            for name, part, connection in database.execute(STORED).fetchall():
                table, of = Table(declared(name)), {"connection": connection}
                said = dict(database.execute(SAID, {**of, "table": name, "part": part}).fetchall())
                target = Slice(connection, min(said, default=date.min), max(said, default=date.max), part)
                days = f"from {name} where {in_slice(table, target)} group by all"
                held = database.execute(f"select usage_date, {table.content_hash} {days}", target.bounds).fetchall()
                equal(f"{name} of {connection}", dict(held), said)


def equal(what: str, found: object, expected: object) -> None:
    """Raise DrillError where two things differ."""
    if found != expected:
        raise DrillError(f"{what}: {found} instead of {expected}"[:2000])


@contextmanager
def stalled(catalog: psycopg.Connection[Any]) -> Iterator[None]:
    """Let no commit to the lake end; whoever only reads goes on."""
    catalog.execute("begin")
    catalog.execute("lock table ducklake_snapshot in share mode")
    try:
        yield
    finally:
        catalog.close()
