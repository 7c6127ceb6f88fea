"""The product in this process: its graph with one connection, a warehouse in a folder, and Dagster in memory."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import dagster as dg
import msgspec

from usage_assets.automation.jobs import LOOKUPS_JOB, USAGE_JOB, range_tags
from usage_assets.build import build_definitions
from usage_assets.config.settings import Connection, Settings
from usage_assets.core.people import People, Policy
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.client import Client
from usage_assets.fetching.connected import archive_of, replay_of
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import HttpOptions
from usage_assets.provider import Provider
from usage_assets.testing.account import Account
from usage_assets.warehouse.opened import warehouse_at

PATIENCE: Mapping[str, Any] = {"attempts": 2, "base_delay": 0.001, "requests_per_second": 1000}
Contents = Mapping[tuple[str, str, date], str]
"""Table, part of it and day -> hash of what is stored."""
VERSIONS = """
select table_name, slice, usage_date, arg_max(content_hash, version) as content
from ledger.partition_versions
where connection = $connection
group by all
order by all
"""


def client_of(
    provider: Provider, account: Account, base_url: str, *, key: str | None = None, people: Policy = "ids"
) -> Client:
    """Return a client of an account that gives up after two attempts."""
    named = {header: account.ids[name] for name, header in provider.scope_headers.items() if name in account.ids}
    scope = Scope(
        connection=provider.name, ids=dict(account.ids), headers=named, people=People(policy=people, hash_key="secret")
    )
    return Client(provider, scope, key=key or account.key, base_url=base_url, http=HttpOptions(**PATIENCE))


def connections_file(provider: Provider, account: Account, folder: Path) -> Path:
    """Write a connections file with one connection that fetches everything, and the key that it names."""
    key, file = folder / "key", folder / "connections.toml"
    key.write_text(account.key)
    where = {"key": f"file:{key}", "base_url": account.base_url}
    stated = {
        "name": provider.name,
        "provider": provider.name,
        **({"files": account.base_url} if provider.reads_files else where),
        **account.ids,
    }
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in stated.items()]
    names = [each.name for each in provider.endpoints] + [each.name for each in provider.lookups]
    switches = ", ".join(f"{name} = true" for name in names)
    file.write_text("\n".join(["[[connection]]", *lines, f"endpoints = {{ {switches} }}", account.connections]))
    return file


class Product:
    """A project with one connection, which is called like its provider."""

    def __init__(self, provider: Provider, account: Account, folder: Path) -> None:
        """Configure a project in a folder."""
        file = connections_file(provider, account, folder)
        self.provider, self.account, self.folder = provider, account, folder
        self.settings = Settings.load(
            _env_file=None,
            usage_connections=file,
            usage_warehouse=str(folder / "usage.duckdb"),
            usage_start_date=account.days[0] - timedelta(days=30),
            usage_backfill_history=False,
        )
        self.warehouse = warehouse_at(self.settings.warehouse)
        self.instance = dg.DagsterInstance.ephemeral()
        self.definitions = build_definitions(self.settings, only={provider.name}, patience=PATIENCE)

    @classmethod
    @contextmanager
    def opened(cls, provider: Provider, account: Account, folder: Path) -> Iterator[Self]:
        """Open a project; its Dagster ends with the block."""
        product = cls(provider, account, folder)
        with product.instance:
            yield product

    @contextmanager
    def copied(self, folder: Path) -> Iterator[Self]:
        """Open a project in a new folder that has stored and archived what this one has."""
        shutil.copytree(self.folder, folder)
        with self.opened(self.provider, self.account, folder) as copy:
            yield copy

    @property
    def connection(self) -> Connection:
        """Its connection."""
        [connection] = [each for each in self.settings.connections() if each.name == self.provider.name]
        return connection

    def fetch(self, days: Sequence[date]) -> None:
        """Fetch and compute contiguous days, as one run does. Raises AssertionError with what has failed."""
        self._run(USAGE_JOB, range_tags(days[0], days[-1]))

    def look_up(self) -> None:
        """List all lookups, if there are some. Raises AssertionError with what has failed."""
        if self.provider.lookups:
            self._run(LOOKUPS_JOB, {})

    def read(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        rows: list[dict[str, Any]] = self.warehouse.read(sql, parameters).to_pylist()
        return rows

    def contents(self) -> Contents:
        """Return the hash of what is stored, by table, part of it and day."""
        rows = self.read(VERSIONS, connection=self.provider.name)
        return {(row["table_name"], row["slice"], row["usage_date"]): row["content"] for row in rows}

    def replay(self) -> Replay:
        """Return what the archive has."""
        return replay_of(self.connection, self.settings, archive_of(self.settings))

    def _run(self, job: str, tags: Mapping[str, str]) -> None:
        """Run a job without what it would show as checks: what is wrong is refused before it is stored."""
        definition = self.definitions.resolve_job_def(job)
        keys = set(definition.asset_layer.executable_asset_keys)
        assets = [asset for asset in self.definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]
        own = {check for asset in assets for check in asset.check_keys if check.asset_key in keys}
        with self.warehouse.get_connection():
            done = definition.get_subset(asset_selection=keys, asset_check_selection=own).execute_in_process(
                instance=self.instance,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags=dict(tags),
                raise_on_error=False,
            )
        failed = [
            f"{event.step_key}: {error.cause.message if error.cause else error.message}"
            for event in done.all_events
            if event.is_step_failure and (error := event.step_failure_data.error)
        ]
        assert done.success, "\n".join(failed)
