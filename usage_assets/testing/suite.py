"""The rules that every provider keeps, as tests. The tests of a provider's package subclass ``ProviderSuite``."""

import ast
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest
from iso4217 import Currency
from starlette.requests import Request
from starlette.responses import Response

from usage_assets import provider as surface
from usage_assets.core.people import DROPPED, Policy
from usage_assets.core.schema import MONEY, arrow_schema, columns
from usage_assets.fetching.transport import PermanentError, ProviderError, TransientError
from usage_assets.provider import CostSource, Endpoint, Entities, Provider, Total
from usage_assets.providers import LOADED, PROVIDERS
from usage_assets.providers.endpoint import folder_of
from usage_assets.providers.registry import faults_of
from usage_assets.testing.account import Account
from usage_assets.testing.echoes import CARRIERS, HARD_KEY, SPELLINGS, Spelled, echoing, leaked, secret_headers
from usage_assets.testing.product import Product, client_of
from usage_assets.testing.queries import KINDS, ProviderQuery, listed
from usage_assets.testing.wire import FAULTS, UNAVAILABLE, Wire, serve
from usage_assets.warehouse.tables import Table

BUILT_IN = Path(surface.__file__).parent / "providers"
OF_UNKNOWN_MEANING = ("other_fields", "other_columns")
COST_BASES = {"billed", "estimated", "notional", "credits"}
NATIVE_UNITS = {"dollars", "cents", "major units", "minor units", "credits"}
"""Euros are major units: the currency is in a column of its own."""
DECLARE = "holds an email address and does not say so: declare address= in its column(...)"
CURRENCIES = frozenset(("usd", "eur", "dollar", "dollars", "euro", "euros"))
"""Units that look like money, beside the codes of ISO 4217."""


class ProviderSuite:
    """State ``provider``, and override ``account``. Each test says its rule; docs/providers.md lists them."""

    provider: ClassVar[Provider]
    """The provider of the package."""

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls) -> Iterator[Account]:
        """Yield an account whose numbers are known, such as an ``Emulator`` that is being served."""
        raise NotImplementedError("yield an account of the provider")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Let a test be about each endpoint, source of costs or blueprint of the provider."""
        if not hasattr(self, "provider"):
            return
        of_each: Mapping[str, Mapping[str, object]] = {
            "endpoint": {each.name: each for each in self.provider.endpoints},
            "source": {each.table: each for each in self.provider.costs},
            "entities": {each.name: each for each in self.provider.entities},
        }
        for name, values in of_each.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values.values(), ids=[*values])

    # --- Fixtures -----------------------------------------------------------------------------------------------------

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def found(cls) -> None:
        """Fail every test in one line while the provider is not found: no other line would say why."""
        if not hasattr(cls, "provider") or cls.provider.name in PROVIDERS:
            return
        name = cls.provider.name
        missing = f"no installed package has the provider {name}: run `pip install -e .` in its folder"
        pytest.fail("; ".join(each.text for each in LOADED.not_loaded if each.name == name) or missing, pytrace=False)

    @pytest.fixture
    def fresh(self, account: Account) -> Iterator[Account]:
        """Yield the account as it was at the beginning, also for whoever comes next."""
        account.reset()
        yield account
        account.reset()

    @pytest.fixture(scope="class")
    @classmethod
    def served(cls, account: Account) -> Iterator[Wire]:
        """Yield a wire to the account."""
        if cls.provider.reads_files:
            pytest.skip("it reads files")
        wire = Wire(account)
        with serve(wire.app) as wire.address:
            yield wire

    @pytest.fixture
    def wire(self, served: Wire) -> Wire:
        """Return a wire that nobody has asked anything."""
        served.mend()
        return served

    @pytest.fixture(scope="class")
    @classmethod
    def new_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
        """Return what makes a folder for a project."""
        return lambda: tmp_path_factory.mktemp("project")

    @pytest.fixture(scope="class")
    @classmethod
    def fetched(cls, account: Account, new_folder: Callable[[], Path]) -> Iterator[Product]:
        """Yield a project in which all days of the account were stored in one run. No test changes it."""
        account.reset()
        with Product.opened(cls.provider, account, new_folder()) as fetched:
            fetched.fetch(account.days)
            yield fetched

    @pytest.fixture(scope="class")
    @classmethod
    def product(cls, fetched: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
        """Yield a copy of it in which all lookups were listed, too: names change what later runs compute."""
        with fetched.copied(tmp_path_factory.mktemp("product") / "copy") as product:
            product.look_up()
            with product.warehouse.get_connection():  # rules read it many times: it is opened once
                yield product

    # --- The package --------------------------------------------------------------------------------------------------

    def test_the_provider_is_found_by_its_entry_point(self) -> None:
        """Group usage_assets.providers; the entry point is called like the provider."""
        assert PROVIDERS[self.provider.name] is self.provider
        assert not [*faults_of(self.provider, self.provider.name)]

    def test_the_package_imports_nothing_but_the_surface(self) -> None:
        """Of usage-assets, a provider imports usage_assets.provider and names that it lists."""
        built_in = tuple(f"usage_assets.providers.{name}." for name in PROVIDERS)
        for file in sorted(folder_of(self.provider.module).rglob("*.py")):
            for module, name in imports_of(file):
                if module.partition(".")[0] == "usage_assets":
                    is_sibling = file.is_relative_to(BUILT_IN) and module.startswith(built_in)
                    is_listed = module == "usage_assets.provider" and name in surface.__all__
                    assert is_sibling or is_listed, f"{file}: from {module} import {name}"

    def test_a_refused_key_has_advice(self) -> None:
        """Advice for 401 and 403 says which key or permission to look at."""
        assert self.provider.reads_files or {401, 403} <= {*self.provider.advice}

    # --- Grain and units ----------------------------------------------------------------------------------------------

    def test_the_grain_and_what_it_is_grouped_by_are_columns(self, endpoint: Endpoint) -> None:
        """No measure is part of the grain."""
        names = {column.name for column in columns(endpoint.row)}
        grain, asked = {*endpoint.row.grain}, {each.removesuffix("[]") for each in endpoint.group_by}
        assert grain <= names
        apart = {each for each in asked if any(name.startswith(f"{each}_") for name in grain)}  # a column for each part
        assert asked - apart <= grain
        assert not {column.name for column in columns(endpoint.row) if column.unit} & grain

    def test_the_grain_is_said_first_and_every_column_is_described(self, endpoint: Endpoint) -> None:
        """The first line of the docstring names the grain. The table is called like the endpoint."""
        said = endpoint.row.__doc__ or ""
        assert said.startswith(("One row per connection, day, ", "One row per connection, day and "))
        assert all(column.description for column in columns(endpoint.row))
        assert endpoint.row.table == f"{self.provider.name}.{endpoint.name}"

    def test_money_and_counts_have_units_and_nothing_else_has(self, endpoint: Endpoint) -> None:
        """A number has a unit, unless it is part of the grain."""
        for column in columns(endpoint.row):
            counted = column.type in (int, Decimal) and column.name not in endpoint.row.grain
            assert (column.unit is not None) == counted, column.name
            assert not is_currency(column.unit), (
                f'{column.name}: unit="{column.unit}" is not known as money: dollars are "USD" or "cents"; units of a '
                'currency that a column states are "currency"'
            )
            assert column.kind or column.unit not in MONEY, f'{column.name}: money has a kind, such as kind="billed"'

    def test_no_amount_is_added_over_currencies(self, endpoint: Endpoint) -> None:
        """A Decimal is not additive. Its total is one of ``totals``, which are SQL."""
        assert not [c.name for c in columns(endpoint.row) if c.type is Decimal and c.additive]
        rows = arrow_schema(endpoint.row).empty_table()
        for total in endpoint.row.totals.values():
            assert duckdb.sql(f"select {total.sql} from rows").fetchall() == [(None,)]
        assert not len(rows)

    def test_text_of_unknown_meaning_is_in_no_preview(self, endpoint: Endpoint) -> None:
        """Fields that this version does not know are kept, in a personal column."""
        unknown = [column for column in columns(endpoint.row) if column.name in OF_UNKNOWN_MEANING]
        assert unknown
        assert all(column.personal for column in unknown)

    def test_what_is_billed_is_money_in_the_totals(self, source: CostSource) -> None:
        """``billed_totals`` names totals of the table whose unit is money."""
        tables = {endpoint.row.table: Table(endpoint.row) for endpoint in self.provider.endpoints}
        named = [f"{name}_" if total.by else name for name, total in tables[source.table].totals.items()]
        totals = [name for name in named if fnmatchcase(name, source.billed_totals or "")]
        assert all(map(tables[source.table].is_amount, totals))
        assert bool(totals) == bool(source.billed_totals)

    def test_rows_are_unique_in_their_grain(self, product: Product, endpoint: Endpoint) -> None:
        """And of the connection, and of days that were asked for."""
        by = ", ".join(("connection", "usage_date", *endpoint.row.grain))
        assert not product.read(f"select {by} from {endpoint.row.table} group by all having count(*) > 1")
        if endpoint.name in product.account.without_rows:
            pytest.skip("it has no rows on these days")
        [found] = product.read(
            f"select list(distinct connection) as names, list(distinct usage_date) as days from {endpoint.row.table}"
        )
        assert found["names"] == [self.provider.name]
        assert {*found["days"]} <= {*product.account.days}
        assert product.account.days[-2] in found["days"], "the account has rows on its second last day"

    # --- Numbers ------------------------------------------------------------------------------------------------------

    def test_every_day_is_what_the_books_say(self, product: Product, endpoint: Endpoint) -> None:
        """To the last digit."""
        if endpoint.name in product.account.without_rows:
            pytest.skip("it has no rows on these days")
        names = {*endpoint.row.totals, *(column.name for column in columns(endpoint.row))}
        for total, by_day in product.account.truth(endpoint.name).items():
            assert total in names, f"{endpoint.row.table} has no column or total {total}: the account's totals name one"
            expected = {day: amount for day, amount in by_day.items() if amount and day in product.account.days}
            assert expected, total
            assert stored_totals(product, endpoint, total) == expected, total

    def test_every_billed_amount_is_a_cost(self, product: Product, source: CostSource) -> None:
        """``columns`` of a CostSource say what costs add up to, and of what is billed there are some."""
        assert source.columns.get("native_amount")
        [found] = product.read(
            "select count(distinct usage_date) as days from costs.daily_costs "
            "where source_table = $source and connection = $connection",
            source=source.table,
            connection=self.provider.name,
        )
        is_empty = source.table.partition(".")[2] in product.account.without_rows
        assert bool(found["days"]) or is_empty or not source.billed_totals

    def test_costs_have_a_basis_and_a_unit_that_everything_knows(self, product: Product, source: CostSource) -> None:
        """docs/providers.md lists cost_basis and native_unit. No view counts another one."""
        sql = "select distinct cost_basis, native_unit from costs.daily_costs where source_table = $source"
        found = product.read(sql, source=source.table)
        for column, known in (("cost_basis", COST_BASES), ("native_unit", NATIVE_UNITS)):
            others = {row[column] for row in found} - known
            assert not others, f"{column} is {listed(others)}: it must be one of {listed(known)}"

    def test_what_is_billed_in_dollars_is_in_focus(self, product: Product) -> None:
        """BilledCost adds up to what the provider bills, also in credits. What has no dollars yet is no charge."""
        if not any(source.billed_totals for source in self.provider.costs):
            pytest.skip("it bills nothing")
        if not product.read("select 1 as there from duckdb_views() where view_name = 'focus'"):
            pytest.skip("the package usage-assets-finance is missing")
        [billed] = product.read(
            "select sum(amount_usd) as usd from costs.daily_costs "
            "where connection = $connection and cost_basis = 'billed' and usage_date < current_date "
            "and coalesce(upper(currency), 'USD') = 'USD'",  # other currencies are charged as they are
            connection=self.provider.name,
        )
        [focus] = product.read(
            "select sum(BilledCost) as usd from costs.focus "
            "where x_Connection = $connection and BillingCurrency = 'USD'",
            connection=self.provider.name,
        )
        assert (focus["usd"] or 0) == (billed["usd"] or 0)

    # --- Names and usage ----------------------------------------------------------------------------------------------

    def test_names_are_of_ids_that_costs_and_usage_have(self, product: Product) -> None:
        """sql/names/: the columns are those of costs.names and valid_from, and each kind is a column of costs."""
        names = ProviderQuery(product, "names", "costs.names")
        if not names.sql:
            pytest.skip("its ids have no names")
        names.check_columns({"kind", "connection", "id", "name", "valid_from"})
        names.check_reads()
        kinds = {row["kind"] for row in names.read("select distinct kind from queried")}
        assert kinds <= KINDS, f"{names.name}: kind is {listed(kinds - KINDS)}: it must be one of {listed(KINDS)}"
        assert not names.read("select 1 from queried where connection is null or id is null or valid_from is null")

    def test_usage_is_what_the_books_say(self, product: Product) -> None:
        """sql/usage/: the columns are those of costs.usage, and its counters add up to those of the account."""
        usage = ProviderQuery(product, "usage", "costs.usage")
        if not usage.sql:
            tables = [each.row.table for each in self.provider.endpoints if has_tokens(each)]
            assert not tables, f"{usage.name} is missing: costs.usage has no tokens of {listed(tables)}"
            pytest.skip("it reports no tokens")
        usage.check_columns({"connection", "usage_date", "provider"})
        usage.check_reads()
        providers = {row["provider"] for row in usage.read("select distinct provider from queried")}
        assert providers <= {self.provider.name}, f"{usage.name}: provider is {listed(providers)}"
        usage.check_books()

    # --- Asking -------------------------------------------------------------------------------------------------------

    def test_no_days_need_no_request(self, wire: Wire, endpoint: Endpoint) -> None:
        """Nothing is asked for nothing."""
        assert not self._fetched(wire, endpoint, [])
        assert not wire.asked

    def test_small_pages_lose_and_double_nothing(self, wire: Wire, endpoint: Endpoint) -> None:
        """Several pages have the rows of one."""
        account = wire.account
        small = account.small_pages(endpoint.name)
        if not small:
            pytest.skip("its answers have no pages")
        whole, asked = self._fetched(wire, endpoint, account.days), len(wire.asked)
        paged = self._fetched(wire, replaced(endpoint, small), account.days)
        assert len(wire.asked) > 2 * asked
        assert paged == whole

    def test_a_range_is_its_single_days(self, fetched: Product, new_folder: Callable[[], Path]) -> None:
        """A run of many days stores what a run of one day stores, in every table."""
        day = fetched.account.days[-2]
        with Product.opened(self.provider, fetched.account, new_folder()) as other:
            other.fetch([day])
            alone = other.contents()
        assert alone
        assert alone == {key: each for key, each in fetched.contents().items() if key[2] == day}

    # --- Days that change ---------------------------------------------------------------------------------------------

    def test_a_restated_day_replaces_what_was_stored(self, fresh: Account, fetched: Product, tmp_path: Path) -> None:
        """And no other day changes, in a run of fewer days. An emptied day has no rows, and costs nothing."""
        before, (emptied, restated, last) = fetched.contents(), fresh.days[-3:]
        with fetched.copied(tmp_path / "copy") as again:
            fresh.clear(emptied)
            fresh.restate(restated)
            again.fetch([emptied, restated, last])
            changed = {key[2] for key, content in again.contents().items() if before.get(key) != content}
            assert changed == {emptied, restated}
            for endpoint in self.provider.endpoints:
                for total, by_day in fresh.truth(endpoint.name).items():
                    expected = {day: by_day[day] for day in fresh.days if by_day.get(day)}
                    assert stored_totals(again, endpoint, total) == expected, total
            if self.provider.costs:
                costs = "select 1 from costs.daily_costs where usage_date = $day and native_amount <> 0"
                assert not again.read(costs, day=emptied)

    def test_the_archive_gives_the_same_rows(self, product: Product, endpoint: Endpoint) -> None:
        """Archived answers are enough to store a day again."""
        [table] = [product.read(f"select * from {endpoint.row.table} order by all")]
        again = product.replay().fetch(endpoint, product.account.days).rows.to_pylist()
        dropped = {name for row in again for name, value in row.items() if DROPPED in str(value)}
        dropped -= {name for row in table for name, value in row.items() if DROPPED in str(value)}
        assert not dropped, f"{listed(dropped)}: {DECLARE}: the archive has {DROPPED} in its place"
        assert as_set(again) == as_set(table)

    # --- Refusals and secrets -----------------------------------------------------------------------------------------

    def test_a_refused_key_is_one_line_with_advice_and_without_the_key(self, wire: Wire, endpoint: Endpoint) -> None:
        """It fails at once, and the message says what to do."""
        wrong = "wrong-key-of-a-test"
        with pytest.raises(PermanentError) as refused:
            self._fetched(wire, endpoint, wire.account.days[-2:-1], key=wrong)
        said = str(refused.value)
        assert self.provider.advice[refused.value.status or 0] in said
        assert wrong not in said
        assert "\n" not in said
        assert len(wire.asked) == len({*wire.asked}), "a refused request is not made again"

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_broken_answer_is_asked_for_again(self, wire: Wire, endpoint: Endpoint, fault: str) -> None:
        """It loses no row and doubles none."""
        day = wire.account.days[-2:-1]
        undisturbed = self._fetched(wire, endpoint, day)
        wire.faults = [fault]
        assert self._fetched(wire, endpoint, day) == undisturbed
        assert not wire.faults

    def test_an_api_that_is_down_is_an_error_and_no_empty_day(self, wire: Wire, endpoint: Endpoint) -> None:
        """Nothing is stored of a day that could not be read."""
        wire.faults = [UNAVAILABLE] * 100
        with pytest.raises(TransientError):
            self._fetched(wire, endpoint, wire.account.days[-2:-1])

    @pytest.mark.parametrize("carrier", CARRIERS)
    def test_a_key_that_the_provider_repeats_is_nowhere(
        self, wire: Wire, caplog: pytest.LogCaptureFixture, carrier: str
    ) -> None:
        """Nor is what it was sent as: no eight characters of it, in any spelling. httpcore alone logs the headers of
        answers, and our code server stops that."""
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.INFO, "httpcore")
        endpoint = self.provider.endpoints[0]
        public = {*self.provider.headers.values(), *endpoint.headers.values(), *wire.account.ids.values()}
        known = " ".join(self.provider.advice.values())
        for name, spelled in SPELLINGS.items():
            secrets = {HARD_KEY}

            def echo(request: Request, spelled: Spelled = spelled, secrets: set[str] = secrets) -> Response:
                secrets |= {each.rpartition(" ")[2] for each in secret_headers(request) if each not in public}
                return echoing(carrier, " ".join(map(spelled, sorted(secrets))))

            wire.echo = echo
            caplog.clear()
            with pytest.raises(ProviderError) as refused:
                self._fetched(wire, endpoint, wire.account.days[-2:-1], key=HARD_KEY)
            error = refused.value
            said = "\n".join((repr(error), error.message, error.cause, error.reason, caplog.text))
            assert not leaked(said, secrets, known=known), f"{name}: {said}"

    def test_no_log_and_no_address_has_the_key(
        self, wire: Wire, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Keys travel in headers."""
        account = wire.account
        with caplog.at_level(logging.DEBUG):
            self._fetched(wire, endpoint, account.days[-2:-1])
        assert wire.asked
        assert account.key not in caplog.text
        assert account.key not in " ".join(wire.asked)

    # --- People -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("policy", ["ids", "hash"])
    def test_addresses_are_kept_as_the_policy_says(self, wire: Wire, endpoint: Endpoint, policy: Policy) -> None:
        """``ids`` keeps an address where it is the only id, or in a name that somebody chose; ``hash`` keeps none."""
        rows = self._fetched(wire, endpoint, wire.account.days, people=policy)
        may = {c.name for c in columns(endpoint.row) if policy == "ids" and c.address in ("only_id", "in_name")}
        readable = {name for row in rows for name, value in row if isinstance(value, str) and is_address(value)}
        undeclared = readable - {c.name for c in columns(endpoint.row) if c.address}
        assert not undeclared, f"{listed(undeclared)}: {DECLARE}"
        assert readable <= may, f"{listed(readable - may)}: addresses are kept where USAGE_PEOPLE is {policy}"

    # --- Entities -----------------------------------------------------------------------------------------------------

    def test_entities_have_one_identifier_each(self, product: Product, entities: Entities) -> None:
        """There are some, and what has a unit adds up to their source's rows: another day is refused."""
        rows = product.read(f"select identifier from {entities.row.table}")
        assert rows
        assert len({row["identifier"] for row in rows}) == len(rows)

    # --- Helpers ------------------------------------------------------------------------------------------------------

    def _fetched(self, wire: Wire, endpoint: Endpoint, days: Any, **options: Any) -> Any:
        with client_of(self.provider, wire.account, wire.address, **options) as client:
            return as_set(client.fetch(endpoint, days).rows.to_pylist())


def has_tokens(endpoint: Endpoint) -> bool:
    """Whether its rows are tokens of models, under the names of ``costs.usage``."""
    return {"model", "output_tokens"} <= {column.name for column in columns(endpoint.row)}


def replaced(endpoint: Endpoint, params: Mapping[str, str]) -> Endpoint:
    """Return the endpoint with other parameters."""
    return replace(endpoint, params={**endpoint.params, **params})


def as_set(rows: Iterable[Mapping[str, Any]]) -> Counter[tuple[tuple[str, Any], ...]]:
    """Return rows without their order."""
    return Counter(tuple(row.items()) for row in rows)


def stored_totals(product: Product, endpoint: Endpoint, total: str) -> Mapping[date, Decimal]:
    """Return a total of each stored day, without days of nothing."""
    sql = endpoint.row.totals.get(total, Total(f"sum({total})")).sql
    rows = product.read(f"select usage_date as day, {sql} as amount from {endpoint.row.table} group by all")
    return {row["day"]: Decimal(row["amount"]) for row in rows if row["amount"]}


def is_currency(unit: str | None) -> bool:
    """Whether a unit looks like money and is not one of those that are."""
    if not unit or unit in MONEY:
        return False
    try:
        return unit in CURRENCIES or bool(Currency(unit))
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether a text has an email address in it."""
    return re.search(r"[\w.+-]+@[\w-]+\.\w+", text) is not None


def imports_of(file: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of each import of a file; relative ones are of its package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)
