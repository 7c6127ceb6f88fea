"""One person, one row: entries and stored addresses join the ids of a person, and every cost stays where it was."""

import shutil
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest

from usage_assets.config.accounting import Owner, Person
from usage_assets.core.people import People, Policy
from usage_assets.core.schema import Row
from usage_assets.features.deletion.people import known_of
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import IS_NIGHT, NewWarehouse, execute
from usage_assets_tests.models.days import TOKENS, USE, Days, days_from, lines, models, raw, raws, seen
from usage_assets_tests.models.stated import KEY, entries, known, listed, state, stating
from usage_assets_vendors.cursor.usage import DailyUsage, UsageEvents
from usage_assets_vendors.github_copilot.metrics import Users1Day

ANN = Person(name="Ann", addresses=["ann@example.com"], logins=["Ann-X"], ids=["user-ann"])


def hashed(address: str) -> str:
    return People("hash", KEY).only_id(address)


@pytest.fixture(scope="module")
def spent_once(warehouse_with_views: NewWarehouse) -> Path:
    """The file of a warehouse with what is ``spent``, and views of it."""
    warehouse = warehouse_with_views()
    # A dollar at OpenAI, one by Claude Code's estimate, one at Cursor, and one of GitHub's credits, all Ann's.
    days = Days(warehouse)
    days.spent(Costs, raw(Costs, user_id="user-ann", amount_value=1))
    of_address(days, "ann@example.com")
    days.fetched(Users1Day, raw(Users1Day, user_login="ann-x", ai_credits_used=1))
    return Path(warehouse.database)


@pytest.fixture
def anns(spent_once: Path, tmp_path: Path) -> Iterator[Days]:
    """A warehouse of one's own with what is ``spent``."""
    warehouse = Warehouse(database=str(shutil.copy2(spent_once, tmp_path)))
    with warehouse.get_connection():
        yield Days(warehouse)


def by_person(days: Days) -> set[tuple[Any, ...]]:
    columns = "cost_basis, actor_kind, person_id, person_name, sum(amount_usd)"
    query = f"select {columns} from costs.by_person group by all"
    return {*days.tuples(query)}


def identities(days: Days) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Connection and id -> kind, person and evidence."""
    rows = days.read("select connection, id, kind, person_id, evidence from costs.people")
    found = {(row["connection"], row["id"]): (row["kind"], row["person_id"], row["evidence"]) for row in rows}
    assert len(found) == len(rows)
    return found


# What joins


def of_address(days: Days, address: str) -> None:
    """A dollar by Claude Code's estimate, and one at Cursor."""
    days.spent(ClaudeCode, raw(ClaudeCode, actor_email=address, model_breakdown=models(("opus", "100"))))
    days.spent(UsageEvents, raw(UsageEvents, user_id=address))


def test_what_is_joined_and_shown_is_what_the_policy_keeps(anns: Days, subtests: pytest.Subtests) -> None:
    """Without an entry, an address beside an id joins; under ids, OpenAI's address was dropped, so nothing does."""
    cases: tuple[tuple[Policy, str, str | None], ...] = (
        ("ids", "user-ann", "ann@example.com"),
        ("hash", "user-ann", None),
        ("names", "Ann", None),
    )
    for policy, shown, without_entry in cases:
        with subtests.test(policy):
            people = People(policy, KEY)
            email = people.sent_unasked("ANN@example.com")
            days = state(anns, **known(policy=policy))
            of_address(days, people.only_id("ann@example.com"))
            days.fetched(CodexUsage, raw(CodexUsage, user_id="codex-ann", user_email=email, credits=1))
            execute(days.warehouse, "delete from openai.users")
            listed(days, "openai.users", id="user-ann", name=people.person_name("Ann Listed"), email=email)
            found = identities(days)
            assert found["cursor", people.only_id("ann@example.com")][1] == (without_entry or "chatgpt:codex-ann")
            assert found["openai", "user-ann"][1] == ("openai:user-ann" if without_entry else "chatgpt:codex-ann")
            days.fetched(CodexUsage)
            days = state(anns, **known(ANN, policy=policy))
            of_address(days, people.only_id("Ann@example.com"))
            assert {(row[2], row[3]) for row in by_person(days)} == {("openai:user-ann", shown)}
            stored = repr([days.read(f"from {table}") for table in ("accounting.people", "costs.people")])
            assert ("Ann'" in stored, "ann@example.com" in stored) == (policy == "names", policy == "names")
            assert ("Ann@example.com" in stored) == (policy != "hash")  # Claude Code knows her by nothing else
            assert (hashed("ann@example.com") in stored) == (policy == "hash")


def test_a_name_is_shown_only_if_every_connection_of_the_person_keeps_names(anns: Days) -> None:
    """A listed name is shown where no entry has one."""
    listed(anns, "openai.users", id="user-ann", name="Ann Listed", email="ann@example.com")
    for stated, shown in (
        (known(policy="names"), "Ann Listed"),
        (known(ANN, policy="names", github_copilot="ids"), "user-ann"),
    ):
        assert {row[3] for row in by_person(state(anns, **stated))} == {shown}


def test_equal_ids_of_two_proxies_and_of_a_login_are_several_persons(days: Days) -> None:
    stated = Person(name="Ann", connection="litellm_eu", ids=["1"])
    days = stating(days, **known(stated, litellm_eu="ids", litellm_us="ids"))
    for name in ("litellm_eu", "litellm_us"):
        days.spent(Costs, raw(Costs, connection=name, user_id="1"), connection=name)
    days.fetched(Users1Day, raw(Users1Day, user_login="1"))
    assert identities(days) == {
        ("litellm_eu", "1"): ("id", "litellm_eu:1", "entry"),
        ("litellm_us", "1"): ("id", "litellm_us:1", "own id"),
        ("github_copilot", "1"): ("login", "github_copilot:1", "own id"),
    }


def test_keys_and_service_accounts_are_apart(anns: Days) -> None:
    """Also if an entry names a service account's id, or two connections have a key of the same name."""
    days = state(anns, **known(Person(name="Ann", ids=["user-ann", "svc"]), openai_eu="ids"))
    bill = "user_id  api_key_id  amount_value\nuser-ann  -  1\nsvc  -  2\n-  k  4\n-  -  8"
    days.spent(Costs, *raws(Costs, bill))
    days.spent(Costs, raw(Costs, connection="openai_eu", api_key_id="k"), connection="openai_eu")
    listed(days, "openai.service_accounts", id="svc", name="Nightly")
    assert sorted(seen(row[1:] for row in by_person(days) if row[0] == "billed")) == lines("""
        api_key          openai:k         k                4
        api_key          openai_eu:k      k                1
        person           ann@example.com  ann@example.com  1
        person           openai:user-ann  user-ann         1
        service_account  openai:svc       Nightly          2
        unknown          -                unknown          8
    """)
    assert identities(days)["openai", "svc"] == ("service_account", "openai:svc", "service account")


def test_an_entry_changes_no_owner(anns: Days) -> None:
    owners = entries(Owner, "user  team  connection\nuser-ann  web  .\nann@example.com  apps  cursor")
    teams = []
    for entered in ([], [ANN]):
        days = state(anns, owners=owners, **known(*entered))
        query = "select provider, team, sum(native_amount) from costs.by_team group by all order by all"
        teams.append(days.read(query))
    assert teams[0] == teams[1]
    assert {row["team"] for row in teams[0]} == {"web", "apps", "unowned"}


def test_forgetting_finds_what_an_entry_has_joined_and_asks_about_logins(anns: Days) -> None:
    """A login may be any word, so the command does not replace it unasked."""
    days = state(anns, **known(ANN))
    found = known_of(days.warehouse, "ann@example.com", [], [])
    assert found.ids - found.addresses == frozenset({"user-ann"})
    assert found.handles == frozenset({"ann-x"})
    assert known_of(days.warehouse, "ann@example.com", [], ["ann-x"]).handles == frozenset()


# People are counted


@needs("report")
def test_who_is_active_at_several_providers_is_one_person_over_all(anns: Days) -> None:
    days = state(anns, **known(ANN, Person(name="Ben", addresses=["ben@a.example", "ben@b.example"])))
    both = [
        raw(DailyUsage, user_id=each, is_active=True) for each in ("ann@example.com", "ben@a.example", "ben@b.example")
    ]
    days.fetched(DailyUsage, *both)
    one = "select count(distinct person_id) as people from costs.active_people"
    assert days.read(one) == [{"people": 2}]
    each = "select source, quantity from costs.unit_costs where metric = 'active_people' group by all order by all"
    assert days.tuples(each) == [
        ("anthropic.claude_code", 0),
        ("anthropic.claude_code", 1),
        ("cursor.daily_usage", 2),
        ("github_copilot.users_1_day", 1),
    ]


# Every cost once


TEXTS = ("u1", "u2", "u3", "a@x.example", "b@x.example", "c@x.example", "d@x.example")
LOGINS = ("l1", "l2")


def of_game(day: date, text: str) -> str:
    """The text of the game of a day: games share a warehouse, and no persons."""
    return f"{text[0]}{day.day}{text[1:]}"


def stated_at_random(day: date, random: Random) -> list[Person]:
    """Entries that do not contradict each other: every text is one person's at most."""
    names = ("Ann", "Ben", "Eve")
    owner = {text: random.choice((*names, None)) for text in (*TEXTS, *LOGINS)}
    entries = []
    for name in names:
        for text in (text for text, whose in owner.items() if whose == name):
            field = "addresses" if "@" in text else "logins" if text in LOGINS else "ids"
            connection = random.choice((None, None, "openai")) if field == "ids" else None
            own = {field: [of_game(day, text)]}
            entries.append(Person(name=of_game(day, name), connection=connection, **own))
    return entries


def rows_at_random(day: date, random: Random, people: People) -> tuple[list[Row], dict[str, str | None]]:
    """What is spent on the day of a game, and the addresses that are listed of its ids."""

    def amount() -> Decimal:
        return Decimal(random.randrange(-(10**12), 10**14)).scaleb(-random.randrange(10, 24))

    def some(*values: Any) -> Any:
        return random.choice(values)

    rows: list[Row] = []
    texts = [of_game(day, text) for text in TEXTS]
    ids, addresses = texts[:3], texts[3:]
    for name in ("openai", "openai_eu"):
        for n in range(6):
            of = {"connection": name, "usage_date": day, "line_item": str(n)}
            of |= {"user_id": some(*ids, None), "api_key_id": some(None, of_game(day, "k"))}
            rows.append(raw(Costs, amount_currency=some("usd", "eur"), amount_value=amount(), **of))
    listed_addresses = {user: people.sent_unasked(some(*addresses)) for user in ids}
    own = [people.only_id(address) for address in addresses]
    rows += [raw(UsageEvents, usage_date=day, user_id=each, charged_cents=amount()) for each in own]
    for each in own[:2]:
        used = models(("m", f"{amount():f}"))
        rows.append(raw(ClaudeCode, usage_date=day, actor_email=each, model_breakdown=used))
    rows.append(raw(CostReport, usage_date=day, **{**TOKENS, "amount_cents": amount()}))
    shared = (
        {"account_id": ids[0]},
        {"account_id": ids[1]},
        {"api_key_id": of_game(day, "k")},
    )
    rows += [raw(UsageMessages, usage_date=day, **{**USE, **each}) for each in shared]
    rows += [raw(Users1Day, usage_date=day, user_login=of_game(day, login)) for login in LOGINS]
    return rows, listed_addresses


def filled_at_random(days: Days, people: People, games: Mapping[date, Random], *, again: bool) -> None:
    """Store the days of all games side by side; ``again``: only what another policy keeps otherwise."""
    rows: dict[tuple[type[Row], str], list[Row]] = {}
    span = {"first": min(games), "last": max(games)}
    emails: dict[str, str | None] = {}
    for day, random in games.items():
        of_day, addresses = rows_at_random(day, random, people)
        for row in of_day:
            if not again or isinstance(row, UsageEvents | ClaudeCode):
                rows.setdefault((type(row), row.connection), []).append(row)
        emails |= addresses
    for (row_type, connection), several in rows.items():
        days.fetched(row_type, *several, connection=connection, **span)
    for file, connection in lines("""
        openai_costs               openai
        openai_costs               openai_eu
        cursor_usage_events        cursor
        anthropic_claude_code      anthropic
        anthropic_cost_report      anthropic
        anthropic_allocated_costs  anthropic
    """):
        if not again or file in ("cursor_usage_events", "anthropic_claude_code"):
            days.derive(file, connection, **span)
    with days.warehouse.transaction() as database:
        database.execute("delete from openai.users")
        users = [{"connection": "openai", "id": user, "email": email} for user, email in emails.items()]
        database.executemany(
            "insert into openai.users (connection, id, email, valid_from) values ($connection, $id, $email, now())",
            users,
        )


def in_graph(
    days: Days, found: Mapping[tuple[str, str], tuple[Any, ...]], entries: Sequence[Person], people: People
) -> Set[frozenset[tuple[str, str]]]:
    """The ids that are one person, found by walking from id to id."""
    addresses: dict[str, set[str]] = {}
    for row in days.read("select id, email from openai.users where email is not null"):
        addresses.setdefault(row["id"], set()).add(row["email"])
    nodes: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for (connection, id_), (kind, *_) in found.items():
        own = ("address", id_) if kind == "address" else (connection[:6], kind, id_)
        also = addresses.get(id_, ()) if connection == "openai" else ()
        nodes[connection, id_] = {own} | {("address", each) for each in also}

    def person_of(node: tuple[str, str]) -> str | None:
        of_id, of_address = (
            {
                entry.name
                for entry in entries
                if entry.connection in (None, node[0])
                and texts(entry) & ({node[1]} if own else {each[1] for each in nodes[node] if each[0] == "address"})
            }
            for own in (True, False)
        )
        return min(of_id or of_address, default=None)

    def texts(entry: Person) -> Set[str]:
        return {*entry.ids, *entry.logins, *(people.only_id(each) for each in entry.addresses)}

    named = {node: person_of(node) for node in nodes}
    persons: dict[object, set[tuple[str, str]]] = {}
    for start in nodes:
        reached, around = {start}, set[str]()
        while True:
            if named[start]:
                break
            near = {other for other in nodes if any(nodes[other] & nodes[node] for node in reached)}
            around = {name for node in near if (name := named[node])}
            grown = reached | {node for node in near if not named[node]}
            if grown == reached:
                break
            reached = grown
        whose = named[start] or (min(around) if len(around) == 1 else frozenset(reached))
        persons.setdefault(whose, set()).add(start)
    return {frozenset(each) for each in persons.values()}


def test_the_sum_over_persons_is_that_of_days_in_any_order_of_the_entries(
    days: Days, subtests: pytest.Subtests
) -> None:
    keys = "usage_date, cost_basis, currency"
    of_unit = "sum(if(native_unit = 'cents', amount_usd, native_amount))"
    moneys = f"{of_unit}, sum(amount_usd), sum(rows_without_usd)"
    query = f"select {keys}, {moneys} from costs.{{}} group by all order by all"
    for n, policy in enumerate(get_args(Policy)):
        with subtests.test(policy):
            games = {day: Random(day.day - 1) for day in days_from(4 if IS_NIGHT else 2)}
            entries = [entry for day, random in games.items() for entry in stated_at_random(day, random)]
            people = People(policy, KEY)
            filled_at_random(stating(days, **known(policy=policy, openai_eu=policy)), people, games, again=n > 0)
            total = days.read(query.format("by_day"))
            assert len(total) == 3 * len(games)
            outcomes: list[list[dict[str, Any]]] = []
            for _ in range(1 if n else 2):
                Random(len(outcomes)).shuffle(entries)
                state(days, **known(*entries, policy=policy, openai_eu=policy))
                outcomes.append(days.read("from costs.by_person order by all"))
                joined: dict[str, set[tuple[str, str]]] = {}
                found = identities(days)
                for node, (_, person, _) in found.items():
                    joined.setdefault(person, set()).add(node)
                assert {frozenset(each) for each in joined.values()} == in_graph(days, found, entries, people)
            assert outcomes[0] == outcomes[-1]
            assert days.read(query.format("by_person")) == total
