"""The end of a connection as a person sees it: a dry run, then nothing of it is left, and all of the others is."""

import dagster as dg
import duckdb
import pytest

from usage_assets.config.settings import Settings
from usage_assets.core.schema import to_arrow
from usage_assets.features.port.catalog.sync import Changes, Entity, push
from usage_assets.features.port.ledger import PortLedger
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.lookups import Projects
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.published import copy_of
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets_tests.fixtures import NO_KEYS, NOW, last_days
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.models.stated import EURO, state
from usage_assets_tests.port_user import port_of
from usage_assets_tests.terminal import Terminal, refusal

DAY = last_days(1)[0]
ENTITIES = {"openai_daily_usage": {"date": str(DAY)}, "openai_model_usage": {"date": str(DAY), "model": "m"}}
KEYS = ("costs", "usage_completions", "port_sync")


@pytest.fixture
def home(terminal: Terminal) -> Terminal:
    """A person with one organization in the connections file and nothing stored."""
    terminal.set(NO_KEYS)
    for name in ("EMEA", "NEW"):
        terminal.set({f"{name}_KEY": f"sk-admin-sandbox-{name}"})
    terminal.set(USAGE_CONNECTIONS="connections.toml")
    configure(terminal, "emea")
    return terminal


@pytest.fixture
def terminal(home: Terminal) -> Terminal:
    """The same person, who has a day of two organizations stored and pushed, and has taken one out of the file."""
    for name in ("emea", "old"):
        # Store a day of costs and a lookup, push two entities, and let Dagster remember the day's assets.
        days = Days(home.warehouse)
        days.fetched(Costs, raw(Costs, connection=name, usage_date=DAY), connection=name, first=DAY)
        project = Projects(connection=name, id="proj_1", valid_from=NOW)
        record(home.warehouse, Table(Projects), to_arrow(Projects, [project]), name, NOW, {})
        entities = tuple(
            Entity(blueprint, f"{name}:{blueprint}", "", properties, DAY) for blueprint, properties in ENTITIES.items()
        )
        with port_of(home.sandbox) as port:
            report = push(port, Changes(entities), PortLedger(home.warehouse, port.account, Slice(name, DAY, DAY), ()))
        assert (report.upserted, report.failures) == (2, [])
        with dg.DagsterInstance.get() as instance:
            for key in KEYS:
                instance.report_runless_asset_event(dg.AssetMaterialization([name, key], partition=str(DAY)))
    state(Days(home.warehouse), exchange_rates=[EURO])
    return home


def configure(terminal: Terminal, *names: str) -> None:
    """Write the connections file."""
    entries = (
        f"[[connection]]\nname = '{name}'\nprovider = 'openai'\nkey = 'env:{name.upper()}_KEY'\n" for name in names
    )
    (terminal.folder / "connections.toml").write_text("".join(entries))


def in_port(terminal: Terminal) -> set[str]:
    """Identifiers of the entities."""
    with port_of(terminal.sandbox) as port:
        return {entity["identifier"] for blueprint in ENTITIES for entity in port.search(blueprint)}


def stored(terminal: Terminal) -> dict[str, dict[str, int]]:
    """Connection -> table -> rows, of every table that there is."""
    counts: dict[str, dict[str, int]] = {}
    with terminal.warehouse.get_connection() as database:
        tables = database.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where schema_name <> 'accounting' and table_name <> 'statements' order by all"
        ).fetchall()
        for (table,) in tables:
            rows = database.execute(f"select connection, count(*) from {table} group by connection").fetchall()
            for connection, count in rows:
                counts.setdefault(connection, {})[table] = count
    return counts


def remembered(connection: str) -> int:
    """Assets of a connection that Dagster knows days of."""
    with dg.DagsterInstance.get() as instance:
        return len([key for key in instance.all_asset_keys() if key.path[0] == connection])


def test_a_dry_run_tells_what_there_is_and_then_nothing_is_left_of_it_and_all_of_the_others(terminal: Terminal) -> None:
    before, entities = stored(terminal), in_port(terminal)
    archive = Settings.load().archive_path
    assert archive
    for name in ("old", "emea"):
        (archive / name / "costs").mkdir(parents=True)
        (archive / name / "costs" / "answer").touch()
    said = terminal.type("connection", "remove", "old")
    assert (said.code, said.err) == (0, "")
    assert said.lines == [
        "ledger.partition_versions: rows 1",
        "openai.costs: rows 1",
        "openai.projects: rows 1",
        "Port, openai_daily_usage: entities 1",
        "Port, openai_model_usage: entities 1",
        "archived answers: files 1",
        "Dagster: which days of 3 assets are there",
        "nothing was deleted; to delete this: usage-assets connection remove old --yes",
    ]
    assert (stored(terminal), in_port(terminal), remembered("old")) == (before, entities, 3)

    said = terminal.type("connection", "remove", "old", "--yes")
    assert (said.code, said.err, said.lines[-1]) == (0, "", "all of this is deleted")
    assert stored(terminal) == {"emea": before["emea"]}
    with duckdb.connect(str(copy_of(terminal.database)), read_only=True) as copy:
        assert copy.execute("select distinct connection from openai.costs").fetchall() == [("emea",)]
    assert in_port(terminal) == {"emea:openai_daily_usage", "emea:openai_model_usage"}
    assert remembered("old") == 0, "days that are gone must not count as stored when the name comes back"
    assert remembered("emea") == 3
    assert [path.relative_to(archive).parts[0] for path in archive.glob("*/*/*")] == ["emea"]
    again = refusal(terminal.type("connection", "remove", "old", "--yes"))
    assert again == "connection 'old' is unknown: nothing is stored of it (usage-assets connection list)"


def test_what_is_no_name_or_configured_is_refused_and_nothing_changes(
    terminal: Terminal,
) -> None:
    archive = Settings.load().archive_path
    assert archive
    inside, outside = archive / "old" / "costs" / "answer", archive.parent.parent / "theirs" / "folder" / "file"
    for file in (inside, outside):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    before = stored(terminal)
    for name in ("*", "?ld", "[o]ld", "..", "../..", ".", "", "old/costs", "**", "Old", "o" * 41):
        said = refusal(terminal.type("connection", "remove", "--yes", "--", name))
        assert said.startswith(f"connection {name!r}: is not a valid name: ")
        assert (inside.exists(), outside.exists(), stored(terminal)) == (True, True, before), name
    # A configured connection is not removed.
    message = refusal(terminal.type("connection", "remove", "emea", "--yes"))
    assert message == "connection emea is configured: take it out of the connections file first"
    terminal.set(EMEA_KEY=None)
    assert refusal(terminal.type("connection", "remove", "emea", "--yes")) == message
    terminal.set(ANTHROPIC_ADMIN_KEY="k")
    message = refusal(terminal.type("connection", "remove", "anthropic", "--yes"))
    assert message == "connection anthropic is configured: unset ANTHROPIC_ADMIN_KEY first"
    terminal.set(ANTHROPIC_ADMIN_KEY=None, USAGE_CONNECTIONS=None)
    message = refusal(terminal.type("connection", "remove", "openai"))
    assert message.startswith("connection 'openai' is unknown: "), "a default without a key is not configured"
    assert stored(terminal) == before
    # The list tells configured connections from those that are only stored.
    terminal.set(USAGE_CONNECTIONS="connections.toml", EMEA_KEY="sk-admin-sandbox-EMEA")
    configure(terminal, "emea", "new")
    listed = terminal.type("connection", "list")
    assert (listed.code, listed.err) == (None, "")
    assert [line.split(maxsplit=2) for line in listed.lines] == [
        ["emea", "openai", f"configured   {DAY} to {DAY}"],
        ["new", "openai", "configured   no day stored"],
        ["old", "openai", f"only stored  {DAY} to {DAY}"],
    ]


def test_a_removal_that_port_interrupts_goes_on_the_next_time(terminal: Terminal) -> None:
    before = stored(terminal)
    route = "POST /port/v1/blueprints/openai_model_usage/bulk/entities/delete"
    terminal.sandbox.refuse(route, 403, calls=[1])
    said = terminal.type("connection", "remove", "old", "--yes")
    assert (said.code, len(said.complaints)) == (2, 1)
    assert "Port answered 403 to POST /port/v1/blueprints/openai_model_usage/bulk/entities/delete" in said.err
    assert stored(terminal)["old"]["openai.costs"] == before["old"]["openai.costs"]
    assert remembered("old") == 3
    assert terminal.type("connection", "remove", "old", "--yes").code == 0
    assert stored(terminal) == {"emea": before["emea"]}
    assert in_port(terminal) == {"emea:openai_daily_usage", "emea:openai_model_usage"}


def test_entities_of_another_port_account_stay_and_are_not_forgotten(terminal: Terminal) -> None:
    terminal.set(PORT_CLIENT_ID=None, PORT_CLIENT_SECRET=None)
    said = terminal.type("connection", "remove", "old", "--yes")
    assert said.code == 0
    (warning,) = said.complaints
    assert warning.startswith("Port account 127.0.0.1:")
    assert warning.endswith("/sandbox-client-id: entities 2 stay until this is run for that account")
    assert list(stored(terminal)["old"]) == ["ledger.port_entities"]
    terminal.set(PORT_CLIENT_ID="sandbox-client-id", PORT_CLIENT_SECRET="sandbox-client-secret")
    assert terminal.type("connection", "remove", "old", "--yes").code == 0
    assert "old" not in stored(terminal)
    assert in_port(terminal) == {"emea:openai_daily_usage", "emea:openai_model_usage"}
