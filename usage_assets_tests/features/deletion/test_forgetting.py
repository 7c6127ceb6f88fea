"""`usage-assets people forget`: nothing leads to the person any more, and every number is what it was."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import httpx
import pytest

from usage_assets.config.settings import Settings
from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.people import People, Policy
from usage_assets.core.schema import Row, to_arrow
from usage_assets.features.deletion import forgetting
from usage_assets.features.deletion.files import NOT_REACHED
from usage_assets.features.port.catalog.sync import Changes, Entity, push
from usage_assets.features.port.ledger import PortLedger
from usage_assets.features.port.push import push_until_equal
from usage_assets.fetching.archive.files import RequestRecord
from usage_assets.fetching.archive.store import Archive, ArchivedResponse, packed, question_of
from usage_assets.fetching.scope import Scope
from usage_assets.local.workers import is_lost
from usage_assets.models.costs import used_views
from usage_assets.models.insights import AnomalyRow
from usage_assets.models.model import money_seed
from usage_assets.providers.anthropic.lookups import AnthropicUsers
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.warehouse import published
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.published import copy_of, former_of, publish
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed
from usage_assets.warehouse.views import make_views
from usage_assets_tests.end_to_end.conftest import calls_to_port
from usage_assets_tests.features.deletion.contents import contents
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.models.days import DERIVED, Days, filled, raw
from usage_assets_tests.port_user import port_of, port_user
from usage_assets_tests.terminal import Terminal, refusal

ADDRESS, ID = "dana@acme-robotics.example", "user_01dana"
DAY = last_days(1)[0]
_, MESSAGES = EVERY_ENDPOINT["anthropic/usage_messages"]


# What is looked at


def stored(terminal: Terminal, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with terminal.warehouse.get_connection() as database:
        return sorted(database.execute(query).fetchall(), key=repr)


def in_port(terminal: Terminal, *blueprints: str) -> list[Mapping[str, Any]]:
    """The entities that Port has."""
    with port_of(terminal.sandbox) as port:
        return [entity for name in blueprints for entity in port.search(name)]


# A home with one row of each kind


@pytest.fixture(params=["names"])
def policy(request: pytest.FixtureRequest) -> Policy:
    """USAGE_PEOPLE."""
    value: Policy = request.param
    return value


FILLED: dict[Policy, tuple[Path, Sequence[httpx.Request]]] = {}
"""Policy -> a copy of what was filled, and the calls that have filled Port."""


@pytest.fixture
def home(terminal: Terminal, policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A person who has stored, archived, pushed and published a day of Dana and of Mary-Dana, who is somebody else."""
    terminal.set(USAGE_PEOPLE=policy, USAGE_HASH_KEY="key")
    if policy not in FILLED:
        with calls_to_port() as made:
            # Store, archive, push and publish it.
            people = Settings.load().people(policy)
            users = [
                AnthropicUsers(
                    connection="anthropic",
                    id=id_,
                    valid_from=datetime.now(UTC),
                    name=people.person_name(name),
                    email=people.sent_unasked(address),
                )
                for id_, name, address in (
                    (ID, "Dana Özdemir", ADDRESS.title()),
                    ("user_01mary", "Mary", f"mary-{ADDRESS}"),
                )
            ]
            record(
                terminal.warehouse, Table(AnthropicUsers), to_arrow(AnthropicUsers, users), "anthropic", DAY_TIME, {}
            )
            of_day: dict[str, Any] = {"connection": "anthropic", "usage_date": DAY}
            for row, rows in rows_of(people).items():
                days = Days(terminal.warehouse)
                days.fetched(row, *(raw(row, **of_day, **values) for values in rows), connection="anthropic", first=DAY)
            dana = people.person_name("Dana Özdemir") or ID
            quoting = {"driver": f"claude-opus-5, {dana}", "evidence": f"person {dana} 0 tokens instead of 5"}
            odd = filled(AnomalyRow, first_day=DAY, last_day=DAY, **quoting)
            with terminal.warehouse.transaction() as database:
                write_seed(database, Seed("insights", {Table(AnomalyRow): to_arrow(AnomalyRow, [odd])}, DAY_TIME))
            # Archive an answer as it is after a fetch.
            asked = RequestRecord(
                question=question_of(MESSAGES, {}, Scope(connection="anthropic")),
                params=(),
                grouped_by=(),
                first=DAY,
                last=DAY,
                people=people.policy,
                fetched_at=DAY_TIME,
            )
            page = json.dumps({"data": [{"results": [{"account_id": ID, "by": ADDRESS}]}], "has_more": False}).encode()
            answer = ArchivedResponse(asked, [packed(MESSAGES, people, page)])
            Archive(terminal.folder / "raw", max_megabytes=100, max_days=400).write([answer])
            with port_of(terminal.sandbox) as port:
                ledger = PortLedger(
                    terminal.warehouse, port.account, Slice("anthropic", DAY, DAY), [DERIVED["ai_user_cost"]]
                )
                push(port, Changes((Entity(CONNECTION, "anthropic", "", {}, DAY),)), ledger)
                assert push_until_equal(port, ledger)[0].upserted == 2
            with dg.DagsterInstance.get() as instance:
                told = {"of": f"{people.only_id(ADDRESS)} and '{ID}'"}
                instance.report_runless_asset_event(dg.AssetMaterialization(["anthropic", "users"], metadata=told))
                log = Path(instance.storage_directory()) / "run" / "compute_logs" / "step.err"
            log.parent.mkdir(parents=True)
            log.write_text(f"Traceback: {ADDRESS}\n")
            captured = terminal.folder / "captured" / "anthropic" / "claude_code" / "captured.json"
            captured.parent.mkdir(parents=True)
            captured.write_text(json.dumps({"actor": ADDRESS}))
            publish(terminal.warehouse)
        FILLED[policy] = shutil.copytree(terminal.folder, tmp_path_factory.mktemp("filled") / policy), made
        return terminal
    folder, calls = FILLED[policy]
    shutil.copytree(folder, terminal.folder, dirs_exist_ok=True)
    with port_user(terminal.sandbox) as user:
        user.repeat(calls)
    return terminal


DAY_TIME = datetime(2026, 11, 20, 7, tzinfo=UTC)


def rows_of(people: People) -> Mapping[type[Row], Sequence[Mapping[str, Any]]]:
    """What a raw and a derived row of each person say."""
    return {
        UsageMessages: [
            {"account_id": ID, "other_fields": people.scrubbed(f'{{"by":"{ADDRESS}"}}')},
            {"account_id": "user_01mary"},
        ],
        DERIVED["ai_user_cost"].row: [
            {
                "identifier": f"anthropic/{id_}/{DAY}",
                "title": f"{people.person_name(name) or id_} - {DAY}",
                "record_date": f"{DAY}T00:00:00Z",
                "user_id": id_,
                "user_email": people.sent_unasked(address),
                "billed_usd": "0.000000000000000000000001",
            }
            for id_, name, address in ((ID, "Dana Özdemir", ADDRESS), ("user_01mary", "Mary", f"mary-{ADDRESS}"))
        ],
    }


WORDS = (ADDRESS, "Dana Özdemir", ID)
NUMBERS = "select * exclude (identifier, title, user_id, user_email) from port_entities.ai_user_cost"
BY_ID = {"names": (), "hash": (), "ids": ("--id", ID)}


def left(terminal: Terminal) -> set[str]:
    """Where Dana is. Mary's address ends as Dana's does."""
    for path, content in contents(terminal.folder):
        assert "person-" not in path.name
        without_mary = re.sub(rb"(?i)mary-dana@acme-robotics\.example", b"", content)
        hashed = People("hash", "key").only_id(ADDRESS)
        if re.search("|".join(map(re.escape, (*WORDS, hashed))).encode(), without_mary, re.I):
            return {str(path)}
    return set()


@pytest.mark.parametrize("policy", ["names", "hash", "ids"], indirect=True)
def test_a_person_is_nowhere_and_the_numbers_are_what_they_were(home: Terminal, policy: Policy) -> None:
    numbers, mine = stored(home, NUMBERS), ("people", "forget", ADDRESS.upper(), *BY_ID[policy])
    mary = "select * from port_entities.ai_user_cost where user_id = 'user_01mary'"
    marys = stored(home, mary)
    if policy == "ids":
        asks = "no provider's id of theirs is known: if they have some, name each with --id\n"
        assert home.type("people", "forget", ADDRESS, "--dry-run").err == asks
    dry = home.type(*mine, "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert dry.lines[-1].startswith("nothing was changed; to do this: usage-assets people forget ")
    done = home.type(*mine)
    assert (done.code, done.err) == (0, "")
    assert done.lines[:-2] == dry.lines[:-1]
    assert done.lines == [
        "anthropic.usage_messages: rows 1",
        "anthropic.users: rows 1",
        "costs.anomalies: rows 1",
        "port_entities.ai_user_cost: rows 1",
        "archived answers: files 1",
        "captured answers: files 1",
        "Dagster's history: rows 3 in files 2",
        "Dagster's logs: files 1",
        "Port: entities 1",
        f"not reached: {NOT_REACHED}",
        "all of this is done",
    ]
    assert left(home) == set()
    assert stored(home, NUMBERS) == numbers
    assert stored(home, mary) == marys
    shown = [entity["identifier"] for entity in in_port(home, "ai_user_cost")]
    assert len(shown) == 2
    assert not any(word in str(in_port(home, "ai_user_cost")) for word in (f"'{ADDRESS}", *WORDS[1:]))
    with closing(duckdb.connect(str(copy_of(home.database)), read_only=True)) as copy:
        assert copy.execute("select count(*) from anthropic.users where starts_with(id, 'forgotten-')").fetchone() == (
            1,
        )


def test_a_later_run_finishes_what_was_killed(home: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = stored(home, NUMBERS)
    for step in ("replace_in_rows", "push_until_equal", "clean"):
        with monkeypatch.context() as patch:
            patch.setattr(forgetting, step, killed)
            assert home.type("people", "forget", ADDRESS).code == 130, step
    done = home.type("people", "forget", ADDRESS)
    assert (done.code, done.err) == (0, "")
    assert left(home) == set()
    assert stored(home, NUMBERS) == numbers
    assert len(in_port(home, "ai_user_cost")) == 2
    assert ID not in str(in_port(home, "ai_user_cost"))
    stand_ins = stored(
        home, "select distinct id from anthropic.users union select user_id from port_entities.ai_user_cost"
    )
    assert len(stand_ins) == 2


def test_what_cannot_be_done_is_one_line_and_changes_nothing(home: Terminal) -> None:
    with dg.DagsterInstance.get() as instance:
        killed, run = (
            instance.create_run_for_job(dg.job(name="j")(lambda: None), status=status)
            for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED)
        )
        assert is_lost(instance, killed)
        said = refusal(home.type("people", "forget", ADDRESS))
        assert said.startswith(f"run {run.run_id} is under way: wait for its end, or cancel it in the UI")
        instance.delete_run(run.run_id)
    with home.warehouse.transaction() as database:  # as an earlier release has stored it
        create_or_alter(database, Table(CostReport))
        database.execute("alter table anthropic.cost_report drop column actor_email")
    said = refusal(home.type("people", "forget", "nobody@acme-robotics.example"))
    assert said == "nobody@acme-robotics.example is unknown: nothing that is stored names them"
    said = refusal(home.type("people", "forget", "dana"))
    assert said == "people forget: name an email address, and ids with --id"
    (home.folder / "c.toml").write_text(f"[[owner]]\nuser = '{ID}'\nteam = 'a'\n")
    home.set(USAGE_CONNECTIONS="c.toml")
    said = refusal(home.type("people", "forget", ADDRESS))
    assert said == "c.toml: names them in line 2, and would again: take that out first; nothing was changed"
    assert left(home)
    assert not (home.folder / "forgotten.json").exists()
    (home.folder / "c.toml").unlink()
    home.set(USAGE_CONNECTIONS=None)
    # What Port refuses is said and done the next time.
    home.sandbox.refuse("POST /port/v1/auth/access_token", 403)
    failed = home.type("people", "forget", ADDRESS)
    assert failed.code == 1
    assert failed.complaints[0].startswith("FAILED: Port: ")
    home.sandbox.mend()
    assert left(home)
    again = home.type("people", "forget", ADDRESS)
    assert (again.code, again.lines[-3], again.lines[-1]) == (0, "Port: entities 1", "all of this is done")
    assert left(home) == set()


STATED = f"""
[[person]]
name = "Dana"
addresses = ["{ADDRESS.title()}"]
ids = ["{ID}", "user-dana"]
[[person]]
name = "Mary"
ids = ["user_01mary"]
[[connection]]
name = "anthropic"
provider = "anthropic"
key = "env:ANTHROPIC_ADMIN_KEY"
"""


def state(terminal: Terminal, text: str) -> None:
    """Write the connections file, and store what it says of people as a run does."""
    (terminal.folder / "c.toml").write_text(text)
    with terminal.warehouse.transaction() as database:
        write_seed(database, money_seed(Settings.load().accounting(), datetime.now(UTC)))


@pytest.mark.parametrize("policy", ["ids"], indirect=True)
def test_what_was_stated_of_a_person_leads_to_their_ids_and_is_removed(home: Terminal) -> None:
    """No --id is named. The entry brings nobody back, also if it is written again."""
    home.set(USAGE_CONNECTIONS="c.toml", ANTHROPIC_ADMIN_KEY=None)
    state(home, STATED)
    with home.warehouse.transaction() as database:
        make_views(database, used_views(["costs.people"]))
    said = refusal(home.type("people", "forget", ADDRESS))
    assert said == (
        "c.toml: names them in line 4, 5, and would again: take that out first, and name what else its "
        "[[person]] states: --id user-dana; nothing was changed"
    )
    (home.folder / "c.toml").write_text(STATED[STATED.index('[[person]]\nname = "Mary"') :])
    done = home.type("people", "forget", ADDRESS)
    assert (done.code, done.err) == (0, "")
    assert "accounting.people: rows 3" in done.lines
    assert left(home) == set()
    persons = stored(home, "select id from accounting.people")
    assert persons == [("user_01mary",)]
    state(home, STATED)
    assert stored(home, "select id from accounting.people") == persons
    assert not {row[1] for row in stored(home, "select person_name, id from costs.people")} & {ID, ADDRESS}


def test_copies_that_others_made_are_named_and_no_former_copy_of_a_large_database_stays(
    home: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "LARGE", 1)
    backup = home.folder / "usage.duckdb.bak"
    backup.write_bytes(home.database.read_bytes())
    said = home.type("people", "forget", ADDRESS)
    assert said.code == 1
    assert said.complaints == [f"{backup}: is not looked into: delete it if it is a copy of the database"]
    assert left(home) == {str(backup)}
    assert not former_of(home.database).exists()
