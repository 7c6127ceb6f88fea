"""The report's company, with people by name and address: what an assistant is asked about."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from usage_assets.config.address import address_of
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.models.costs import VIEWS
from usage_assets.providers.anthropic.lookups import ApiKeys
from usage_assets.providers.anthropic.reports import ClaudeCode
from usage_assets.providers.openai.lookups import OpenaiUsers
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.readable import ReadableFile
from usage_assets.warehouse.views import in_order
from usage_assets_assistant.mcp import store
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import Opened, Store
from usage_assets_report_tests.conftest import FIRST, LAST, fill, make_all_views, watch
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import Days, models

__all__ = ["ephemeral_instances_keep_their_connection"]

ADDRESS, OTHER = "dana@example.com", "bob.oneil@example.com"
NAME, ID = "Dana Özdemir", "u0"
KEY = f"laptop of {OTHER}"
MOMENT = datetime(2026, 10, 1, tzinfo=UTC)


STORED = (
    "select schema_name || '.' || view_name from duckdb_views() where schema_name in ('accounting', 'costs', 'models')"
)
"""Views, but those of the ledger: they tell what is due now."""


def make_tables_of_views(file: Path) -> None:
    """Let the views of a database be tables of the same rows: to plan them takes most of the time of a question.

    Each reads tables in place of the views before it: six times as fast as to plan all of them whole.
    """
    file.chmod(0o600)
    with duckdb.connect(file, config={"threads": 1}) as database:
        database.execute("set TimeZone = 'UTC'")
        stored = {name for (name,) in database.execute(STORED).fetchall()}
        for name in (name for view in in_order(VIEWS) for name in view.names if name in stored):
            schema, table = name.split(".")
            database.execute(f"create table {schema}.rows_of_{table} as from {name}; drop view {name}")
            database.execute(f"alter table {schema}.rows_of_{table} rename to {table}")


def add_people(days: Days) -> None:
    """Name a user of OpenAI, have two people use Claude Code, and call a key after one of them."""
    models_of = {"model_breakdown": models(("claude-opus-5", "30"))}
    days.daily(ClaudeCode, FIRST, LAST, *({"actor_email": each, **models_of} for each in (ADDRESS, OTHER)))
    days.derive("anthropic_claude_code", first=FIRST, last=LAST)
    user = OpenaiUsers(connection="openai", id=ID, valid_from=MOMENT, name=NAME, email=ADDRESS)
    days.listed(OpenaiUsers, [user], MOMENT)
    key = ApiKeys(connection="anthropic", id="k1", valid_from=MOMENT, name=KEY)
    days.listed(ApiKeys, [key], MOMENT)


@pytest.fixture(scope="session", autouse=True)
def patient() -> Iterator[None]:
    """On a busy machine a query may take longer than an assistant would wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SECONDS_OF_QUERY", 300)
        yield


@pytest.fixture(scope="session")
def address(warehouse_with_views: NewWarehouse) -> WarehouseAddress:
    """Where a company is published that has people, teams, budgets, incidents and several cost bases."""
    warehouse = warehouse_with_views()
    with warehouse.get_connection():
        days = fill(Days(warehouse))
        add_people(days)
        make_all_views(warehouse)
        watch(days)
        publish(warehouse)
    return address_of(warehouse.database, None)


See = Callable[..., Opened]
"""Opens the company as an assistant sees it: with the options of `usage-assets mcp`."""


@pytest.fixture(scope="session")
def see(address: WarehouseAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[See]:
    """Each way of seeing the company is opened once. The servers of other tests read its views."""
    published = ReadableFile(database=str(address.file)).published
    seen = tmp_path_factory.mktemp("seen") / address.file.name
    shutil.copy(published, copy := ReadableFile(database=str(seen)).published)
    make_tables_of_views(copy)
    stores: dict[Sight, Store] = {}

    def opened(**options: object) -> Opened:
        sight = Sight(key="a key", **options)  # type: ignore[arg-type]  # options of a command
        with stores.setdefault(sight, Store(address_of(str(seen), None), sight)).opened() as found:
            return found

    yield opened
    for each in stores.values():
        each.close()
