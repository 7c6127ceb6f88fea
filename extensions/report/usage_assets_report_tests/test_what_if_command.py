"""`usage-assets what-if`: the report's comparison for what is typed, in words and as CSV."""

import csv
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine

from usage_assets.models.prices import ListPrices
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets_report_tests.conftest import make_all_views
from usage_assets_tests.fixtures import NOW, TODAY, NewWarehouse
from usage_assets_tests.models.days import Days, cases, raw
from usage_assets_tests.terminal import Terminal, refusal

YESTERDAY = TODAY - timedelta(days=1)
OPUS = ("--provider", "anthropic", "--model", "claude-opus-5")


@pytest.fixture(scope="module")
@time_machine.travel(NOW)
def company(warehouse_with_views: NewWarehouse) -> Warehouse:
    """A company that used 1,000,000 tokens of two models yesterday, for 7 and 3 dollars: one is unlisted. On a day of
    October, a refund was as much as it was billed."""
    days = Days(warehouse_with_views())
    counted = {"cache_creation_5m_input_tokens": 0, "cache_creation_1h_input_tokens": 0, "output_tokens": 0}
    used = {"uncached_input_tokens": 600_000, "cache_read_input_tokens": 400_000, **counted}
    for day, own in ((YESTERDAY, 300), (YESTERDAY - timedelta(days=30), -700)):
        cents, of = {"claude-opus-5": 700, "own-model": own}, {"usage_date": day}
        days.fetched(UsageMessages, *(raw(UsageMessages, model=each, **of, **used) for each in cents), first=day)
        bills = [raw(CostReport, model=model, amount_cents=usd, **of) for model, usd in cents.items()]
        days.spent(CostReport, *bills, first=day)
    make_all_views(days.warehouse)
    publish(days.warehouse)
    return days.warehouse


@pytest.fixture
def terminal(terminal: Terminal, company: Warehouse) -> Terminal:
    """A person of that company."""
    for file in (Path(company.database), company.published):
        shutil.copy(file, terminal.folder)
    return terminal


def test_a_change_of_the_cache_rate_is_exact_and_apart_from_the_discount(terminal: Terminal) -> None:
    found = ListPrices.of("anthropic", "claude-opus-5")
    assert found
    of_tokens = found.on(YESTERDAY)
    [row] = csv.DictReader(terminal.type("what-if", *OPUS, "--cached-share", "0", "--csv").lines)
    today = 600_000 * of_tokens["input"] + 400_000 * of_tokens["read"]
    instead = 1_000_000 * of_tokens["input"]
    assert {name: Decimal(row[name]) for name in row if name.startswith("usd")} == {
        "usd": 7,
        "usd_list": today,
        "usd_list_instead": instead,
        "usd_change": instead - today,
        "usd_bill_less_list": 7 - today,
        "usd_difference_to_bill": instead - 7,
        "usd_left_out": 0,
    }
    assert row["instead"] == "claude-opus-5, 0% of the input cached"


def test_each_number_has_its_sentence(terminal: Terminal) -> None:
    said = terminal.type("what-if", *OPUS, "--to", "claude-haiku-4-5")
    assert said.lines[0] == "2026-11-01 to 2026-11-19, UTC. Public list prices: an estimate, and no offer."
    assert said.lines[2] == "anthropic claude-opus-5 -> claude-haiku-4-5"
    assert said.lines[3] == "           $7.00  billed in 1 day: 70.0% of the whole bill"
    assert len(said.lines) == 9
    assert terminal.type("what-if").lines[2] == "anthropic claude-opus-5 -> no cheaper model in use"
    refunded = terminal.type("what-if", "--month", "2026-10").lines
    assert refunded[3] == "           $7.00  billed in 1 day", "no share of a bill of nothing"


BAD_OPTIONS = cases(f"""
    --model claude-opus-5 -> --provider is missing: name the provider and the model whose tokens are
    {" ".join(OPUS)} --cached-share 2 -> --cached-share: Input should be less than or equal to 1
    --provider openai --model x --to y -> openai x: nothing is billed for it
    --provider anthropic --model own-model --tier batch -> anthropic own-model: no list price
""")


def test_bad_options_are_one_line(terminal: Terminal) -> None:
    for options, complaint in BAD_OPTIONS:
        assert refusal(terminal.type("what-if", *options.split())).startswith(complaint)


def test_without_list_prices_it_says_what_to_install(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usage_assets.models.prices.find_spec", lambda _: None)
    said = refusal(terminal.type("what-if"))
    assert said == "list prices are missing: pip install 'usage-assets[prices]'"
