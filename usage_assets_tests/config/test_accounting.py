"""What the connections file states about money: exact, dated, attributed, or refused with file, line and field."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from usage_assets.config.accounting import (
    Accounting,
    BudgetRow,
    CurrencyRow,
    ModelNameRow,
    OwnerRow,
    PersonRow,
    SeatPriceRow,
    TagAllocationRow,
)
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.forgotten import Forgotten, new_address
from usage_assets.core.money import digits_of
from usage_assets.core.people import People
from usage_assets.providers import PROVIDERS
from usage_assets_tests.alone import core_alone, needs
from usage_assets_tests.models.days import cases, lines, seen

EVERYTHING = """
[[credit_rate]]
workspace = "ws-1"
usd_per_credit = 0.0399999999
valid_from = 2026-01-01
valid_until = 2026-12-31
source = "contract 2026-17"

[[exchange_rate]]
currency = "EUR"
usd = 1.0842
valid_from = 2026-11-01
source = "ECB"

[[purchase]]
connection = "openai"
kind = "credits"
quantity = 100000
amount = 4000.00
id = "order 9"
valid_from = 2026-01-01
valid_until = 2026-12-31

[[seat]]
connection = "chatgpt"
price = 30.05
included = 10
count = 25

[[invoice]]
connection = "openai"
month = "2026-10"
total = 1234.56
id = "INV-10"

[[owner]]
project = "proj_1"
team = "web"
cost_center = "4711"

[[shared_cost]]
name = "seats"
connection = "openai"
shares = { 4711 = 1 }

[[budget]]
name = "web"
team = "web"
amount = 5000.10

[[person]]
name = "Ann Example"
addresses = ["Ann@example.com"]
logins = ["ann-x"]
ids = ["user-AbC"]

[[model]]
provider = "litellm"
as_sent = "azure/prod"
family = "gpt-5"
"""
GATEWAY = """[[connection]]
name = "openai"
provider = "openai"
key = "env:OPENAI_ADMIN_KEY"

[[connection]]
name = "gateway"
provider = "litellm"
key = "env:GATEWAY_KEY"
base_url = "https://litellm.example.com"

[connection.endpoints]
tag_activity_by_model = true

"""
TAGS = '[[tag_allocation]]\nconnection = "openai"\ngateway = "gateway"\ntags = "team:"\n'
BUDGET = '[[budget]]\nname = "all"\namount = 9\n'
MODEL = '[[model]]\nprovider = "litellm"\nas_sent = "azure/prod"\nfamily = "gpt-5"\n'
ANN = '[[person]]\nname = "Ann"\naddresses = ["ann@example.com"]\nids = ["user-ann"]\n'
BEN = '[[person]]\nname = "Ben"\nlogins = ["ben-x"]\n'
SEAT = '[[seat]]\nconnection = "chatgpt"\nprice = 30.05\n'
OWNER = '[[owner]]\nproject = "p"\nteam = "web"\n'
Load = Callable[..., Settings]


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Extensions test their sections."""
    with core_alone():
        yield


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load settings with a connections file of this text, beside the default connections, and a key for addresses."""
    monkeypatch.chdir(tmp_path)

    def with_file(text: str, **more: str) -> Settings:
        (tmp_path / "connections.toml").write_text(text)
        stated = {"usage_connections": "connections.toml", "usage_hash_key": "a long random text"}
        return Settings.load(_env_file=None, **stated, **more)

    return with_file


def test_everything_is_read_with_every_digit(load: Load) -> None:
    accounting = load(EVERYTHING).accounting()
    [credit], [euro], [pack] = accounting.credit_rates, accounting.exchange_rates, accounting.purchases
    [invoice], [owner] = accounting.invoices, accounting.owners
    assert credit.usd_per_credit == Decimal("0.0399999999")
    assert (euro.usd, euro.valid_until) == (Decimal("1.0842"), None)
    assert (pack.amount, pack.quantity, pack.currency) == (Decimal(4000), Decimal(100000), "USD")
    assert (invoice.total, invoice.currency, invoice.first) == (Decimal("1234.56"), "USD", date(2026, 10, 1))
    assert owner.owned == ("project", "proj_1")
    tables = accounting.tables()
    assert tables[OwnerRow].to_pylist()[0]["cost_center"] == "4711"
    rows = {row.table.removeprefix("accounting."): table.num_rows for row, table in tables.items()}
    names_in_bills = [provider.billed_as for provider in PROVIDERS.values() if provider.billed_as]
    assert {name: count for name, count in rows.items() if count != 1} == {
        "budget_thresholds": 3,
        "tag_allocations": 0,
        "people": 3,
        "connections": len(load(EVERYTHING).connections()),
        "separate_bills": 0,
        "currencies": rows["currencies"],
        "providers": len(PROVIDERS),
        "cost_sources": sum(len(provider.costs) for provider in PROVIDERS.values()),
        "bill_names": sum(len((*named.services, *named.sellers)) for named in names_in_bills),
    }
    [entry] = load(GATEWAY + TAGS).accounting().tables()[TagAllocationRow].to_pylist()
    assert [entry[name] for name in ("connection", "gateway", "tags", "api_key")] == [
        "openai",
        "gateway",
        "team:",
        None,
    ]


def test_a_price_of_seats_may_change_from_one_day_to_the_next(load: Load) -> None:
    text = SEAT + "included = 10\ncount = 25\nvalid_until = 2026-11-15\n" + SEAT.replace("30.05", "32")
    rows = load(text + 'currency = "EUR"\nvalid_from = 2026-11-16\n').accounting().tables()[SeatPriceRow].to_pylist()
    assert seen(rows) == lines("""
        chatgpt  30.05  USD  10  25  1970-01-01  2026-11-15
        chatgpt  32     EUR  -   -   2026-11-16  -
    """)


def test_the_smallest_unit_of_every_currency_is_that_of_iso_4217() -> None:
    (units,) = (table.to_pylist() for row, table in Accounting().tables().items() if row is CurrencyRow)
    worth = {row["currency"]: row["minor_unit"] for row in units}
    assert worth == {code: Decimal(1).scaleb(-digits_of(code)) for code in worth}
    assert {code: worth[code] for code in ("JPY", "USD", "KWD", "CLF")} == {
        "JPY": 1,
        "USD": Decimal("0.01"),
        "KWD": Decimal("0.001"),
        "CLF": Decimal("0.0001"),
    }
    assert "XAU" not in worth


def test_models_are_stated_by_name_of_one_provider_or_of_all(load: Load) -> None:
    several = (
        MODEL.replace('"azure/prod"', '["azure/prod", "azure/eu"]') + 'version = "2025-08-07"\nvariant = "regional"\n'
    )
    of_all = MODEL.replace('provider = "litellm"\n', "")
    rows = load(several + of_all).accounting().tables()[ModelNameRow].to_pylist()
    assert seen(rows, "provider model family version variant") == lines("""
        litellm  azure/prod  gpt-5  2025-08-07  regional
        litellm  azure/eu    gpt-5  2025-08-07  regional
        -        azure/prod  gpt-5  -           -
    """)


MISTAKES = [
    *cases("""
        [[shared_cost]]; name = "s" -> line 1: shared_cost.1: name one of even, by_use, headcount, shares
        [[shared_cost]]; name = "s"; even = ["a", "a"] -> line 1: shared_cost.1: name each cost center once
        [[shared_cost]]; name = "s"; even = [] -> line 3: shared_cost.1.even:
        [[shared_cost]]; name = "s"; headcount = { a = 0 } -> line 3: shared_cost.1.headcount.a:
        [[shared_cost]]; name = "s"; shares = { a = 0.5, b = 0.4 }
            -> line 1: shared_cost.1: shares add up to 0.9, not to 1
        [[shared_cost]]; name = "s"; even = ["a"]; team = "t"; project = "p"
            -> line 1: shared_cost.1: name at most one of connection
        [[shared_cost]]; name = "s"; even = ["a"]; connection = "x"
            -> line 4: shared_cost.1.connection: unknown; the connections are
        [[seat]]; connection = "chatgpt"; price = 0 -> line 3: seat.1.price: Input should be greater than 0
        [[seat]]; connection = "chatgpt"; price = 1; count = 2.5
            -> line 4: seat.1.count: Input should be a valid integer
        [[seat]]; connection = "chatgpt"; price = 1; seats = 2 -> line 4: seat.1.seats: unknown; known:
        [[seat]]; connection = "chatgpt"; price = 1; valid_from = 2026-11-02; valid_until = 2026-11-01
            -> line 1: seat.1: valid_until 2026-11-01 is before valid_from 2026-11-02
        [[credit_rate]]; usd_per_credit = 0; workspace = "w"; source = "s"; valid_from = 2026-01-01
            -> line 2: credit_rate.1.usd_per_credit: Input should be greater than 0
        [[credit_rate]]; usd_per_credit = '0.04'; workspace = "w"; source = "s"; valid_from = 2026-01-01
            -> line 2: credit_rate.1.usd_per_credit: write a number
        [[credit_rate]]; usd_per_credit = 0.03999999999; workspace = "w"; source = "s"; valid_from = 2026-01-01
            -> line 2: credit_rate.1.usd_per_credit:
        [[credit_rate]]; usd_per_credit = 1; workspace = "w"; source = "s"; valid_from = 2026-01-01;
            valid_until = 2025-12-31 -> line 1: credit_rate.1: valid_until 2025-12-31 is before
        [[credit_rate]]; usd_per_credit = 1; workspace = "w"; source = "s"; valid_from = 1767225600
            -> line 5: credit_rate.1.valid_from: write a day, such as 2026-
        [[credit_rate]]; usd_per_credit = 1; workspace = "w"; valid_from = 2026-01-01
            -> line 1: credit_rate.1.source: Field required
        [[credit_rate]]; usd_per_credit = 1; workspace = "w"; source = "s"; valid_from = 2026-01-01; rate = 3
            -> line 6: credit_rate.1.rate: unknown; known: valid_from, valid_until, workspace,
        [[person]]; name = "Ann" -> line 1: person.1: name at least one of addresses, logins, ids
        [[person]]; name = "Ann"; addresses = ["ann"] -> line 3: person.1.addresses.1: write an email address
        [[person]]; name = "Ann"; ids = ["ann@example.com"]
            -> line 3: person.1.ids.1: is an address: write it in addresses
        [[person]]; name = "Ann"; logins = ["a"]; id = "a"
            -> line 4: person.1.id: unknown; known: name, connection, addresses, logins, ids
        [[person]]; name = " "; logins = ["b"] -> line 2: person.1.name:
        [[person]]; name = "Ben"; logins = ["b"]; connection = "nowhere"
            -> line 4: person.1.connection: unknown; the connections are
        [[person]]; name = "Ann"; addresses = ["ann@example.com"];
            [[person]]; name = "Ben"; addresses = ["b@example.com", "Ann@Example.com"]
            -> line 6: person.2.addresses.2: connections.toml, line 1: person.1 has it under another name
        [[person]]; name = "Ann"; addresses = ["ann@example.com"]; connection = "openai";
            [[person]]; name = "Ben"; addresses = ["ann@example.com"]
            -> line 7: person.2.addresses.1: connections.toml, line 1: person.1 has it under another name
        [[exchange_rate]]; currency = "eur"; usd = 1.1; valid_from = 2026-01-01; source = "ECB"
            -> line 2: exchange_rate.1.currency: eur is not a currency of ISO 4217
        [[exchange_rate]]; currency = "USD"; usd = 1.1; valid_from = 2026-01-01; source = "ECB"
            -> line 2: exchange_rate.1.currency: USD needs no rate
        [[exchange_rate]]; currency = "EUR"; usd = 11; valid_from = 2026-01-01; source = "ECB"
            -> line 3: exchange_rate.1.usd: Input should be less than 10
        [[purchase]]; connection = "oenai"; kind = "credits"; quantity = 1; amount = 1; id = "order 9";
            valid_from = 2026-01-01; valid_until = 2026-12-31
            -> line 2: purchase.1.connection: unknown; the connections are anthropic
        [[invoice]]; connection = "openai"; month = "2026-13"; total = 1; id = "I" -> line 3: invoice.1.month:
        [[invoice]]; connection = "openai"; month = "2026-10"; total = 1; id = "I"; issued = 0
            -> line 6: invoice.1.issued: write a day, such as 2026-
        [owner]; project = "p"; team = "web" -> line 1: owner: write [[owner]]
        [[owner]]; project = "p"; team = "web"; user = "u"
            -> line 1: owner.1: name one of api_key, user, project, workspace
        [[owner]]; project = "p"; team = "web"; [[owner]]; project = "p"; team = "apps"
            -> owner.2: says again what connections.toml, line 1: owner.1 says: remove one, or give each
        [[owner]]; project = "p"; team = "web"; valid_from = 2026-01-01; connection = "openai";
            [[owner]]; project = "p"; team = "web" -> line 6: owner.2: says again what
        [[budget]]; name = "all"; amount = nan -> line 3: budget.1.amount:
        [[budget]]; name = "all" -> line 1: budget.1: name one of amount, credits
        [[budget]]; name = "all"; credits = 9; currency = "EUR" -> line 1: budget.1: credits have no currency
        [[budget]]; name = "all"; amount = 9; period = "week"
            -> line 4: budget.1.period: Input should be 'month' or 'quarter'
        [[budget]]; name = "all"; amount = 9; thresholds = [0.5, 0]
            -> line 4: budget.1.thresholds.2: Input should be greater than 0
        [[budget]]; name = "all"; amount = 9; thresholds = [0.8, 0.5]
            -> line 4: budget.1.thresholds: write them in ascending order
        [[budget]]; name = "all"; amount = 9; thresholds = [1, 1.0]
            -> line 4: budget.1.thresholds: write them in ascending order, each once
        [[budget]]; name = "all"; amount = 9; valid_until = 2026-10-31;
            [[budget]]; name = "all"; amount = 9; valid_from = 2026-11-01; period = "quarter"
            -> line 9: budget.2.period: connections.toml, line 1: budget.1 has the same name and is for each month
        [budget]; name = "all"; amount = 9 -> line 1: budget: write [[budget]]
        [[tag_allocation]]; connection = "openai"; gateway = "gateway"; tags = "team:"
            -> line 3: tag_allocation.1.gateway: unknown; the connections are anthropic
        [[tag_allocation]]; connection = "openai"; gateway = "openai"; tags = "team:"
            -> openai: its provider reports no tags by model
        [[model]]; provider = "lite"; as_sent = "a"; family = "f"
            -> line 2: model.1.provider: unknown; the providers are openai,
        [[model]]; provider = "litellm"; as_sent = "a" -> line 1: model.1.family: Field required
        [[model]]; provider = "litellm"; as_sent = []; family = "f"
            -> line 3: model.1.as_sent: Value should have at least 1 item
        [[model]]; provider = "litellm"; as_sent = ["a", "a"]; family = "f"
            -> line 3: model.1.as_sent: 'a' is in connections.toml, line 1: model.1
        [[model]]; provider = "litellm"; as_sent = "a"; family = "f"; price = 3
            -> line 5: model.1.price: unknown; known: provider, as_sent, family, version, variant
        [[model]]; provider = "litellm"; as_sent = "a"; family = "f";
            [[model]]; provider = "litellm"; as_sent = ["other", "a"]; family = "f"
            -> line 7: model.2.as_sent: 'a' is in connections.toml, line 1: model.1, too: state it once
    """),
    (f"[[credit_rate]]; usd_per_credit = {'9' * 5000}", "not a TOML file"),
]
"""What a file states, one field after the other, and what is said of it."""
OF_GATEWAYS = (
    (
        GATEWAY.replace("= true", "= false") + TAGS,
        "line 17: tag_allocation.1.gateway: gateway: switch its endpoint tag_activity_by_model on",
    ),
    (
        GATEWAY + TAGS + TAGS.replace("team:", "product:"),
        "line 19: tag_allocation.2: says again what connections.toml, line 15: tag_allocation.1 says",
    ),
)


def test_a_mistake_is_named_by_file_line_and_field(load: Load) -> None:
    assert_are_named(MISTAKES, load)


@needs("vendors")
def test_a_mistake_about_a_gateway_is_named(load: Load) -> None:
    assert_are_named(OF_GATEWAYS, load)


def assert_are_named(mistakes: Sequence[tuple[str, ...]], load: Load) -> None:
    wrong = dict[str, str]()
    for text, expected in mistakes:
        said = "nothing was refused"
        try:
            load(text.replace("; ", "\n")).accounting()
        except SettingsError as refused:
            said = str(refused)
        if expected not in said or "\n" in said:
            wrong[text] = f"{expected!r} is not in {said!r}"
    assert wrong == {}


def test_an_owner_is_stored_as_costs_name_people(load: Load) -> None:
    """Where addresses are hashed, none gets into the database, and its costs have their owner."""
    address = OWNER.replace('project = "p"', 'user = "Bob@example.com"')
    key = OWNER.replace('project = "p"', 'api_key = "Laptop key (bob@example.com)"')
    bob = People("hash", "a long random text").only_id("bob@example.com")
    for policy, ids in (
        ("ids", ["Bob@example.com", "Laptop key (bob@example.com)"]),
        ("hash", [bob, f"Laptop key ({bob})"]),
    ):
        assert [owner.owned[1] for owner in load(address + key, usage_people=policy).accounting().owners] == ids
    with pytest.raises(
        SettingsError, match=r"line 4: owner\.2: says again what connections\.toml, line 1: owner\.1 says"
    ):
        load(address + address.replace("Bob", "bob"), usage_people="hash").accounting()


def test_the_former_key_of_a_cost_center_is_read(load: Load) -> None:
    now, before = (load(OWNER + f'{key} = "4711"\n').accounting().owners for key in ("cost_center", "cost_centre"))
    assert before == now
    assert [owner.cost_center for owner in before] == ["4711"]
    with pytest.raises(SettingsError, match=r"line 1: owner\.1: cost_centre is the former name of cost_center"):
        load(OWNER + 'cost_center = "1"\ncost_centre = "2"\n').accounting()


def test_an_owner_of_connections_with_other_policies_is_stored_as_each_names_people(load: Load) -> None:
    two = "".join(
        f'[[connection]]\nname = "{name}"\nprovider = "anthropic"\nkey = "env:KEY"\npeople = "{people}"\n'
        for name, people in (("plain", "ids"), ("hashed", "hash"))
    )
    everywhere = OWNER.replace('project = "p"', 'user = "bob@example.com"')
    assert len(load(two + everywhere).accounting().owners) == 2
    (plain,) = load(two + everywhere + 'connection = "plain"').accounting().owners
    (hashed,) = load(two + everywhere + 'connection = "hashed"').accounting().owners
    assert plain.user == "bob@example.com"
    assert hashed.user is not None
    assert "@" not in hashed.user


def test_a_budget_of_a_person_is_stored_as_costs_name_them(load: Load) -> None:
    budget = BUDGET + 'user = "Bob@example.com"\n'
    bob = People("hash", "a long random text").only_id("bob@example.com")
    for policy, name in (("names", "Bob@example.com"), ("hash", bob)):
        [row] = load(budget, usage_people=policy).accounting().tables()[BudgetRow].to_pylist()
        assert (row["scope_type"], row["scope_id"]) == ("user", name)
    two = "".join(
        f'[[connection]]\nname = "{people}"\nprovider = "anthropic"\nkey = "env:KEY"\npeople = "{people}"\n'
        for people in ("ids", "hash")
    )
    assert load(two + BUDGET + 'user = "user_1"').accounting().budgets[0].user == "user_1"
    with pytest.raises(SettingsError, match=r"line 14: budget\.1\.user: some connections hash addresses, others keep"):
        load(two + budget).accounting()


def people(settings: Settings) -> list[dict[str, object]]:
    """What is stored of the persons that are stated."""
    rows: list[dict[str, object]] = settings.accounting().tables()[PersonRow].to_pylist()
    return rows


def test_a_person_is_stored_as_the_policy_says(load: Load) -> None:
    addresses = {
        "ids": sha256(b"ann@example.com").hexdigest(),
        "hash": People("hash", "a long random text").only_id("ANN@example.com"),
        "names": "ann@example.com",
    }
    keys = set()
    for policy, address in addresses.items():
        rows = people(load(ANN + 'logins = ["Ann-X"]\n', usage_people=policy))
        assert {(row["kind"], row["id"]) for row in rows} == {
            ("address", address),
            ("login", "ann-x"),
            ("id", "user-ann"),
        }
        assert {(row["policy"], row["name"]) for row in rows} == {(policy, "Ann" if policy == "names" else None)}
        [key] = {row["person"] for row in rows}
        keys.add((policy == "hash", key))
    assert len(keys) == len({key for _, key in keys}) == 2  # nothing ties a hashed address to a readable one


def test_entries_of_one_name_are_one_person_in_any_order(load: Load) -> None:
    elsewhere = BEN.replace("ben-x", "b") + 'connection = "openai"\n'
    rows = people(load(ANN + BEN + elsewhere))
    assert people(load(elsewhere + BEN + ANN)) == rows
    logins = {(row["connection"], row["id"]) for row in rows if row["kind"] == "login"}
    assert logins == {(None, "ben-x"), ("openai", "b")}
    assert len({row["person"] for row in rows}) == 2


def test_nothing_is_stored_of_who_was_forgotten(load: Load) -> None:
    settings = load(ANN + BEN + ANN.replace("example.com", "example.org").replace("user-ann", "user-a"))
    Forgotten().with_stand_ins([("ann@example.com", new_address)]).save(settings.forgotten_path)
    assert [row["id"] for row in people(settings)] == ["ben-x"]
