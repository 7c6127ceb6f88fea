"""The rules that any provider keeps, and its account at the sandbox."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine

from demo.summary import UNITS
from usage_assets.providers import LOADED, PROVIDERS
from usage_assets.testing import Account, ProviderSuite
from usage_assets.testing.account import Totals
from usage_assets_sandbox.providers import BOOKS
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT, IDS, KEYS, OVER_HTTP, PATHS
from usage_assets_tests.fixtures import IS_NIGHT, NOW, NewWarehouse, Sandbox, last_days

Units = dict[str, dict[str, Decimal]]
"""Unit -> day -> its total, without days of nothing."""


def true_units(sandbox: Sandbox, days: Sequence[date]) -> dict[str, Units]:
    """The true total of each provider's units on each day."""
    books: dict[str, dict[str, dict[str, str]]] = sandbox.control(
        "GET", "truth", start=str(days[0]), end=str(days[-1])
    )["days"]
    return {
        provider: {
            unit: {day: Decimal(total) for day, total in by_day.items() if Decimal(total)}
            for unit, by_day in units.items()
        }
        for provider, units in books.items()
    }


@dataclass
class SandboxAccount:
    """An account of the sandbox. Its last day is one that all reports have."""

    sandbox: Sandbox
    name: str
    connections: str = ""
    books: dict[str, Units] | None = None
    """What the sandbox's books say, while nothing changes."""

    @property
    def base_url(self) -> str:
        """Where the provider is emulated."""
        return f"{self.sandbox.base_url}/{PATHS[self.name]}"

    @property
    def key(self) -> str:
        """The key that it takes."""
        return KEYS[self.name]

    @property
    def ids(self) -> Mapping[str, str]:
        """What paths need."""
        return IDS.get(self.name, {})

    @property
    def days(self) -> Sequence[date]:
        """Days that all reports have."""
        return last_days(5)[:-1]

    def truth(self, endpoint: str) -> Totals:
        """What the sandbox's books say."""
        self.books = self.books or true_units(self.sandbox, self.days)
        return {
            total: {date.fromisoformat(day): amount for day, amount in self.books[self.name][unit].items()}
            for unit, total in UNITS.get(f"{self.name}.{endpoint}", {}).items()
        }

    @property
    def without_rows(self) -> Collection[str]:
        """Copilot's premium requests have become AI credits in June 2026."""
        return {"premium_requests"}

    def small_pages(self, endpoint: str) -> Mapping[str, str]:
        """Pages of one day or row, where the sandbox has pages with tokens; a year of summaries is one page."""
        _, declared = EVERY_ENDPOINT[f"{self.name}/{endpoint}"]
        return {"limit": "1"} if "limit" in declared.params and endpoint != "summaries" else {}

    def reset(self) -> None:
        """Let the books be as they were."""
        self.sandbox.control("POST", "reset", {"now": NOW.isoformat()})
        self.books = None

    def clear(self, day: date) -> None:
        """Empty a day of all books, but of a summary: there is one of each day."""
        for endpoint in BOOKS[self.name].endpoints.keys() - {"summaries"}:
            self._change(day, "clear", endpoint=endpoint)

    def restate(self, day: date) -> None:
        """Change a third of the rows of a day."""
        self._change(day, "scale")

    def _change(self, day: date, change: str, **endpoint: str) -> None:
        self.sandbox.restate(self.name, day, change=change, **endpoint)
        self.books = None


OF_TRANSPORT = (
    "test_no_days_need_no_request",
    "test_a_refused_key_is_one_line_with_advice_and_without_the_key",
    "test_a_broken_answer_is_asked_for_again",
    "test_an_api_that_is_down_is_an_error_and_no_empty_day",
    "test_no_log_and_no_address_has_the_key",
)
"""Rules that no endpoint of ours can break for itself: one of each provider stands for all (and test_refusals.py)."""
OF_NIGHT = (
    "test_a_restated_day_replaces_what_was_stored",
    "test_a_range_is_its_single_days",
    "test_a_key_that_the_provider_repeats_is_nowhere",
)
"""Rules about what no provider does for itself, which take seconds. By day, those in QUICK stand for all."""


class OnSandbox(ProviderSuite):
    """The rules of any provider, on the sandbox."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Let a test be about each endpoint, source of costs or blueprint of the provider."""
        endpoints = self.provider.endpoints if hasattr(self, "provider") else ()
        if metafunc.function.__name__ in OF_TRANSPORT:
            endpoints = endpoints[:1]
        elif metafunc.function.__name__ == "test_small_pages_lose_and_double_nothing":  # once for those asked alike
            endpoints = tuple(each for each in endpoints if f"{self.provider.name}/{each.name}" in OVER_HTTP)
        else:
            super().pytest_generate_tests(metafunc)
            return
        metafunc.parametrize("endpoint", endpoints, ids=[each.name for each in endpoints])

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls, sandbox_process: Sandbox) -> Iterator[Account]:
        """An account of the sandbox, at its time."""
        if cls.provider.reads_files:
            pytest.skip("it reads files: fetching/test_bills.py")
        with time_machine.travel(NOW):
            yield SandboxAccount(sandbox_process, cls.provider.name)

    @pytest.fixture(scope="class")
    @classmethod
    def new_folder(
        cls, tmp_path_factory: pytest.TempPathFactory, warehouse_with_views: NewWarehouse
    ) -> Callable[[], Path]:
        """Makes a folder with a warehouse that has the views of costs, which take a second."""
        return lambda: Path(warehouse_with_views(tmp_path_factory.mktemp("project")).database).parent


def suites_of(package: str, quick: Collection[str]) -> dict[str, type]:
    """Return the rules for each provider of a package: of some all, of the others those of the night by night alone."""
    suites: dict[str, type] = {}
    for name in (name for name, each in LOADED.packages.items() if each.name == package):
        left_out = () if IS_NIGHT or name in quick else OF_NIGHT
        stated = {"provider": PROVIDERS[name], **dict.fromkeys(left_out)}
        suites[f"Test{name.title().replace('_', '')}"] = type(name, (OnSandbox,), stated)
    return suites
