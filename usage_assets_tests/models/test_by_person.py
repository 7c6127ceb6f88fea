"""One person, one row: entries and stored addresses join the ids of a person, and every cost stays where it was."""

from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from random import Random
from typing import Any, get_args

import pytest

from usage_assets.config.accounting import ConfiguredConnectionRow, Owner, Person, person_rows
from usage_assets.core.people import People, Policy
from usage_assets.features.deletion.people import known_of
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic.reports import ClaudeCode
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.cursor.usage import DailyUsage, UsageEvents
from usage_assets.providers.github_copilot.metrics import Users1Day
from usage_assets.providers.openai.costs import Costs
from usage_assets_tests.models.days import Days, models, raw
from usage_assets_tests.models.test_allocation import anthropic_bill, anthropic_use
from usage_assets_tests.models.test_attribution import listed
from usage_assets_tests.models.test_valuation import stating

KEY = "a long random text"
CONNECTIONS = ("anthropic", "chatgpt", "cursor", "github_copilot", "litellm", "openai")
ANN = Person(name="Ann", addresses=["ann@example.com"], logins=["Ann-X"], ids=["user-ann"])


def known(*entries: Person, policy: Policy = "ids", **policies: Policy) -> Mapping[str, Any]:
    """What is stored of a connections file with these entries; connections have one policy, but those named."""
    of = {**dict.fromkeys(CONNECTIONS, policy), **policies}
    return {
        "people": person_rows(entries, of, lambda each: People(each, KEY)),
        "connections": [
            ConfiguredConnectionRow(
                connection=name,
                provider=(provider := name if name in PROVIDERS else name.partition("_")[0]),
                people=each,
                people_ids=PROVIDERS[provider].people_ids,
            )
            for name, each in sorted(of.items())
        ],
    }


def hashed(address: str) -> str:
    return People("hash", KEY).only_id(address)


def spent(days: Days, *, address: str = "ann@example.com") -> None:
    """A dollar at OpenAI, one by Claude Code's estimate, one at Cursor, and one of GitHub's credits, all Ann's."""
    days.fetched(Costs, raw(Costs, user_id="user-ann", amount_value=Decimal(1)))
    days.derive("openai_costs")
    days.fetched(ClaudeCode, raw(ClaudeCode, actor_email=address, model_breakdown=models(("opus", "100"))))
    days.derive("anthropic_claude_code")
    days.fetched(UsageEvents, raw(UsageEvents, user_id=address))
    days.derive("cursor_usage_events")
    days.fetched(Users1Day, raw(Users1Day, user_login="ann-x", ai_credits_used=Decimal(1)))


def by_person(days: Days) -> set[tuple[Any, ...]]:
    columns = "cost_basis, actor_kind, person_id, person_name, sum(amount_usd)"
    query = f"select {columns} from costs.by_person group by all"
    return {tuple(row.values()) for row in days.warehouse.read(query).to_pylist()}


def identities(days: Days) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Connection and id -> kind, person and evidence."""
    rows = days.warehouse.read("select connection, id, kind, person_id, evidence from costs.people").to_pylist()
    found = {(row["connection"], row["id"]): (row["kind"], row["person_id"], row["evidence"]) for row in rows}
    assert len(found) == len(rows)
    return found


# What joins


def test_an_entry_makes_ids_a_login_and_addresses_of_four_providers_one_person(days: Days) -> None:
    days = stating(days, **known(ANN))
    spent(days)
    assert identities(days) == {
        ("anthropic", "ann@example.com"): ("address", "openai:user-ann", "entry"),
        ("cursor", "ann@example.com"): ("address", "openai:user-ann", "entry"),
        ("github_copilot", "ann-x"): ("login", "openai:user-ann", "entry"),
        ("openai", "user-ann"): ("id", "openai:user-ann", "entry"),
    }
    assert by_person(days) == {
        ("billed", "person", "openai:user-ann", "user-ann", 2),
        ("estimated", "person", "openai:user-ann", "user-ann", 1),
    }


def test_without_an_entry_only_the_same_address_or_id_joins(days: Days) -> None:
    days = stating(days, **known(openai_eu="ids"))
    spent(days)
    days.fetched(Costs, raw(Costs, connection="openai_eu", user_id="user-ann"), connection="openai_eu")
    days.derive("openai_costs", "openai_eu")
    assert identities(days) == {
        ("anthropic", "ann@example.com"): ("address", "ann@example.com", "same address"),
        ("cursor", "ann@example.com"): ("address", "ann@example.com", "same address"),
        ("github_copilot", "ann-x"): ("login", "github_copilot:ann-x", "own id"),
        ("openai", "user-ann"): ("id", "openai:user-ann", "same id"),
        ("openai_eu", "user-ann"): ("id", "openai:user-ann", "same id"),
    }


@pytest.mark.parametrize("policy", get_args(Policy))
def test_what_is_joined_and_shown_is_what_the_policy_keeps(days: Days, policy: Policy) -> None:
    people = People(policy, KEY)
    days = stating(days, **known(ANN, policy=policy))
    spent(days, address=people.only_id("Ann@example.com"))
    listed(
        days,
        "openai.users",
        id="user-ann",
        name=people.person_name("Ann Listed"),
        email=people.sent_unasked("ann@example.com"),
    )
    name = {"ids": "user-ann", "hash": "user-ann", "names": "Ann"}[policy]
    assert {(row[2], row[3]) for row in by_person(days)} == {("openai:user-ann", name)}
    stored = repr([days.warehouse.read(f"from {table}").to_pylist() for table in ("accounting.people", "costs.people")])
    assert ("Ann'" in stored, "ann@example.com" in stored) == (policy == "names", policy == "names")
    assert ("Ann@example.com" in stored) == (policy != "hash")  # Claude Code knows her by nothing else
    assert (hashed("ann@example.com") in stored) == (policy == "hash")


@pytest.mark.parametrize(("policy", "person"), [("ids", "ann@example.com"), ("hash", None), ("names", None)])
def test_an_address_beside_an_id_joins_where_the_policy_keeps_it(
    days: Days, policy: Policy, person: str | None
) -> None:
    """Without an entry: under ids, OpenAI's address was dropped, so nothing ties the two together."""
    people = People(policy, KEY)
    days = stating(days, **known(policy=policy))
    spent(days, address=people.only_id("ann@example.com"))
    email = people.sent_unasked("ANN@example.com")
    days.fetched(CodexUsage, raw(CodexUsage, user_id="codex-ann", user_email=email, credits=Decimal(1)))
    listed(days, "openai.users", id="user-ann", email=email)
    found = identities(days)
    assert found["cursor", people.only_id("ann@example.com")][1] == (person or "chatgpt:codex-ann")
    assert found["openai", "user-ann"][1] == ("openai:user-ann" if person else "chatgpt:codex-ann")


def test_an_address_that_the_policy_dropped_joins_nothing(days: Days) -> None:
    days = stating(days, **known(Person(name="Ann", addresses=["ann@example.com"]), anthropic="hash"))
    spent(days)
    days.fetched(
        ClaudeCode, raw(ClaudeCode, actor_email=hashed("ann@example.com"), model_breakdown=models(("opus", "100")))
    )
    days.derive("anthropic_claude_code")
    found = identities(days)
    assert found["openai", "user-ann"] == ("id", "openai:user-ann", "own id")
    assert found["anthropic", hashed("ann@example.com")][1] == hashed("ann@example.com")  # not Cursor's readable one
    assert found["cursor", "ann@example.com"][1] == "ann@example.com"


def test_a_name_is_shown_only_if_every_connection_of_the_person_keeps_names(days: Days) -> None:
    days = stating(days, **known(ANN, policy="names", github_copilot="ids"))
    spent(days)
    listed(days, "openai.users", id="user-ann", name="Ann Listed", email="ann@example.com")
    assert {row[3] for row in by_person(days)} == {"user-ann"}


def test_a_listed_name_is_shown_where_no_entry_has_one(days: Days) -> None:
    days = stating(days, **known(policy="names"))
    spent(days)
    listed(days, "openai.users", id="user-ann", name="Ann Listed", email="ann@example.com")
    assert {row[3] for row in by_person(days)} == {"Ann Listed"}


def test_a_chain_joins_in_steps(days: Days) -> None:
    """Claude Code's address was one of a ChatGPT id, whose other address was one of another id, which is in an entry
    by its last address."""
    days = stating(days, **known(Person(name="Ann", addresses=["ann@new.example"], logins=["ann-x"]), policy="names"))
    spent(days)
    days.fetched(UsageEvents, raw(UsageEvents, user_id="ann@new.example"))
    days.fetched(
        CodexUsage,
        *(
            raw(CodexUsage, user_id=id_, user_email=email, workspace_id=f"{id_}{email}")
            for id_, email in (
                ("c1", "ann@example.com"),
                ("c1", "ann@middle.example"),
                ("c2", "ann@middle.example"),
                ("c2", "ann@new.example"),
            )
        ),
    )
    found = identities(days)
    assert {person for _, person, _ in (found["anthropic", "ann@example.com"], found["github_copilot", "ann-x"])} == {
        "chatgpt:c1"
    }
    assert found["chatgpt", "c1"] == ("id", "chatgpt:c1", "same address")
    assert found["chatgpt", "c2"][2] == "entry"


def test_an_entry_has_the_last_word(days: Days) -> None:
    """A shared mailbox is beside two ids that are two persons' by their entries; a third one there is nobody's."""
    two = [Person(name=name, ids=[f"user-{name}"]) for name in ("ann", "ben")]
    days = stating(days, **known(*two, policy="names"))
    days.fetched(Costs, *(raw(Costs, user_id=f"user-{name}") for name in ("ann", "ben", "eve")))
    days.derive("openai_costs")
    for name in ("ann", "ben", "eve"):
        listed(days, "openai.users", id=f"user-{name}", email="team@example.com")
    assert identities(days) == {
        ("openai", "user-ann"): ("id", "openai:user-ann", "entry"),
        ("openai", "user-ben"): ("id", "openai:user-ben", "entry"),
        ("openai", "user-eve"): ("id", "openai:user-eve", "disputed"),
    }


def test_what_an_entry_says_of_an_id_outranks_the_address_beside_it(days: Days) -> None:
    two = [Person(name="Ann", addresses=["ann@example.com"]), Person(name="Ben", ids=["user-1"])]
    days = stating(days, **known(*two, policy="names"))
    days.fetched(Costs, raw(Costs, user_id="user-1"))
    days.derive("openai_costs")
    listed(days, "openai.users", id="user-1", email="ann@example.com")
    assert {row[3] for row in by_person(days)} == {"Ben"}


def test_equal_ids_of_two_proxies_and_of_a_login_are_several_persons(days: Days) -> None:
    stated = Person(name="Ann", connection="litellm_eu", ids=["1"])
    days = stating(days, **known(stated, litellm_eu="ids", litellm_us="ids"))
    for name in ("litellm_eu", "litellm_us"):
        days.fetched(Costs, raw(Costs, connection=name, user_id="1"), connection=name)
        days.derive("openai_costs", name)
    days.fetched(Users1Day, raw(Users1Day, user_login="1"))
    assert identities(days) == {
        ("litellm_eu", "1"): ("id", "litellm_eu:1", "entry"),
        ("litellm_us", "1"): ("id", "litellm_us:1", "own id"),
        ("github_copilot", "1"): ("login", "github_copilot:1", "own id"),
    }


def test_keys_and_service_accounts_are_apart(days: Days) -> None:
    """Also if an entry names a service account's id, or two connections have a key of the same name."""
    days = stating(days, **known(Person(name="Ann", ids=["user-ann", "svc"]), openai_eu="ids"))
    spent(days)
    days.fetched(
        Costs,
        raw(Costs, user_id="user-ann", amount_value=Decimal(1)),
        raw(Costs, user_id="svc", amount_value=Decimal(2)),
        raw(Costs, api_key_id="k", amount_value=Decimal(4)),
        raw(Costs, amount_value=Decimal(8)),
    )
    days.derive("openai_costs")
    days.fetched(Costs, raw(Costs, connection="openai_eu", api_key_id="k"), connection="openai_eu")
    days.derive("openai_costs", "openai_eu")
    listed(days, "openai.service_accounts", id="svc", name="Nightly")
    assert {row[1:] for row in by_person(days) if row[0] == "billed"} == {
        ("person", "openai:user-ann", "user-ann", 1),
        ("person", "ann@example.com", "ann@example.com", 1),
        ("service_account", "openai:svc", "Nightly", 2),
        ("api_key", "openai:k", "k", 4),
        ("api_key", "openai_eu:k", "k", 1),
        ("unknown", None, "unknown", 8),
    }
    assert identities(days)["openai", "svc"] == ("service_account", "openai:svc", "service account")


def test_an_entry_changes_no_owner(days: Days) -> None:
    owners = [Owner(user="user-ann", team="web"), Owner(user="ann@example.com", team="apps", connection="cursor")]
    teams = []
    for entries in ([], [ANN]):
        days = stating(days, owners=owners, **known(*entries))
        spent(days)
        query = "select provider, team, sum(native_amount) from costs.by_team group by all order by all"
        teams.append(days.warehouse.read(query).to_pylist())
    assert teams[0] == teams[1]
    assert {row["team"] for row in teams[0]} == {"web", "apps", "unowned"}


def test_forgetting_finds_what_an_entry_has_joined_and_asks_about_logins(days: Days) -> None:
    """A login may be any word, so the command does not replace it unasked."""
    days = stating(days, **known(ANN))
    spent(days)
    found = known_of(days.warehouse, "ann@example.com", [], [])
    assert found.ids - found.addresses == frozenset({"user-ann"})
    assert found.handles == frozenset({"ann-x"})
    assert known_of(days.warehouse, "ann@example.com", [], ["ann-x"]).handles == frozenset()


# People are counted


def test_who_is_active_at_several_providers_is_one_person_over_all(days: Days) -> None:
    days = stating(days, **known(ANN, Person(name="Ben", addresses=["ben@a.example", "ben@b.example"])))
    spent(days)
    both = [
        raw(DailyUsage, user_id=each, is_active=True) for each in ("ann@example.com", "ben@a.example", "ben@b.example")
    ]
    days.fetched(DailyUsage, *both)
    one = "select count(distinct person_id) as people from costs.active_people"
    assert days.warehouse.read(one).to_pylist() == [{"people": 2}]
    each = "select source, quantity from costs.unit_costs where metric = 'active_people' group by all order by all"
    assert [tuple(row.values()) for row in days.warehouse.read(each).to_pylist()] == [
        ("anthropic.claude_code", 0),
        ("anthropic.claude_code", 1),
        ("cursor.daily_usage", 2),
        ("github_copilot.users_1_day", 1),
    ]


# Every cost once


TEXTS = ("u1", "u2", "u3", "a@x.example", "b@x.example", "c@x.example", "d@x.example")


def stated_at_random(random: Random) -> list[Person]:
    """Entries that do not contradict each other: every text is one person's at most."""
    names = ("Ann", "Ben", "Eve")
    owner = {text: random.choice((*names, None)) for text in (*TEXTS, "l1", "l2")}
    entries = []
    for name in names:
        for text in (text for text, whose in owner.items() if whose == name):
            field = "addresses" if "@" in text else "logins" if text.startswith("l") else "ids"
            connection = random.choice((None, None, "openai")) if field == "ids" else None
            entries.append(Person(name=name, connection=connection, **{field: [text]}))
    return entries


def filled_at_random(days: Days, random: Random, people: People) -> None:
    def amount() -> Decimal:
        return Decimal(random.randrange(-(10**12), 10**14)).scaleb(-random.randrange(10, 24))

    def some(*values: Any) -> Any:
        return random.choice(values)

    users = [*TEXTS[:3], None]
    for name in ("openai", "openai_eu"):
        days.fetched(
            Costs,
            *(
                raw(
                    Costs,
                    connection=name,
                    user_id=some(*users),
                    api_key_id=some(None, "k"),
                    amount_currency=some("usd", "eur"),
                    amount_value=amount(),
                    line_item=str(n),
                )
                for n in range(6)
            ),
            connection=name,
        )
        days.derive("openai_costs", name)
    for user in TEXTS[:3]:
        listed(days, "openai.users", id=user, email=people.sent_unasked(some(*TEXTS[3:])))
    addresses = [people.only_id(text) for text in TEXTS[3:]]
    days.fetched(UsageEvents, *(raw(UsageEvents, user_id=each, charged_cents=amount()) for each in addresses))
    days.derive("cursor_usage_events")
    days.fetched(
        ClaudeCode,
        *(raw(ClaudeCode, actor_email=each, model_breakdown=models(("m", f"{amount():f}"))) for each in addresses[:2]),
    )
    days.derive("anthropic_claude_code")
    anthropic_bill(days, {"amount_cents": amount()})
    anthropic_use(days, {"account_id": "u1"}, {"account_id": "u2"}, {"api_key_id": "k"})
    days.derive("anthropic_allocated_costs")
    days.fetched(Users1Day, *(raw(Users1Day, user_login=login) for login in ("l1", "l2")))


def in_graph(days: Days, entries: Sequence[Person], people: People) -> Set[frozenset[tuple[str, str]]]:
    """The ids that are one person, found by walking from id to id."""
    addresses: dict[str, set[str]] = {}
    for row in days.warehouse.read("select id, email from openai.users where email is not null").to_pylist():
        addresses.setdefault(row["id"], set()).add(row["email"])
    nodes: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for row in days.warehouse.read("select connection, id, kind from costs.people").to_pylist():
        node, is_openai = (row["connection"], row["id"]), row["connection"] == "openai"
        own = ("address", row["id"]) if row["kind"] == "address" else (row["connection"][:6], row["kind"], row["id"])
        nodes[node] = {own} | {("address", each) for each in addresses.get(row["id"], ()) if is_openai}

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


@pytest.mark.parametrize("policy", get_args(Policy))
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_the_sum_over_persons_is_that_of_days_in_any_order_of_the_entries(
    days: Days, policy: Policy, seed: int
) -> None:
    random = Random(seed)
    entries = stated_at_random(random)
    people = People(policy, KEY)
    filled_at_random(stating(days, **known(policy=policy, openai_eu=policy)), random, people)
    keys = "usage_date, cost_basis, currency"
    of_unit = "sum(if(native_unit = 'cents', amount_usd, native_amount))"
    moneys = f"{of_unit}, sum(amount_usd), sum(rows_without_usd)"
    query = f"select {keys}, {moneys} from costs.{{}} group by all order by all"
    total = days.warehouse.read(query.format("by_day")).to_pylist()
    assert len(total) == 3
    outcomes = []
    for _ in range(3):
        random.shuffle(entries)
        stating(days, **known(*entries, policy=policy, openai_eu=policy)).derive("openai_costs")
        assert days.warehouse.read(query.format("by_person")).to_pylist() == total
        outcomes.append(days.warehouse.read("from costs.by_person order by all").to_pylist())
        joined: dict[str, set[tuple[str, str]]] = {}
        for node, (_, person, _) in identities(days).items():
            joined.setdefault(person, set()).add(node)
        assert {frozenset(each) for each in joined.values()} == in_graph(days, entries, people)
    assert outcomes[0] == outcomes[1] == outcomes[2]
