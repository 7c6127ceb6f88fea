"""A bill of several vendors in which another connection's bill is: which charges are found, and which are not."""

from datetime import date, timedelta
from decimal import Decimal

import msgspec

from usage_assets.core.schema import Row
from usage_assets.models.model import sql_files
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets_finance.billed_twice import billed_twice
from usage_assets_finance.focus.charges import Charges
from usage_assets_tests.fixtures import ROOT
from usage_assets_tests.models.days import DAY, Days, days_from, lines, raw, raws, seen
from usage_assets_vendors.cursor.usage import UsageEvents
from usage_assets_vendors.github_copilot.billing import AiCredits
from usage_assets_vendors.openrouter.activity import Activity

PAGE = ROOT / "docs" / "money.md"
OTHERS: tuple[Row, ...] = (
    raw(Costs, amount_value=9),
    raw(CostReport),
    raw(CodexUsage, cost_usd=9),
    raw(AiCredits, net_amount=9),
    raw(UsageEvents),
    raw(Activity, usage=9),
)
"""A bill of every other provider."""


CHARGES = """
    service_name                              service_provider_name  invoice_issuer_name  sku_meter                 other_columns
    GitHub                                    .                      .                    GitHub Copilot Business   .
    OpenAI API                                OpenAI                 .                    .                         .
    ChatGPT Enterprise                        OpenAI                 .                    .                         .
    Claude                                    .                      .                    .                         {"PublisherName": "Anthropic, PBC"}
    gpt-5                                     openai                 .                    .                         .
    CURSOR teams                              .                      .                    .                         .
    OpenRouter                                .                      .                    .                         .
    Amazon Bedrock                            Anthropic              .                    .                         .
    Claude Opus 5 (Amazon Bedrock Edition)    .                      Anthropic            .                         .
    Azure OpenAI Service                      .                      .                    Codex mini Inp            .
    Claude Enterprise                         Anthropic              .                    .                         .
    SaaS                                      .                      .                    .                         {"PublisherName": "Anthropic", "x_SkuMeterName": "Claude in Microsoft Foundry - ccu"}
    GitHub                                    .                      .                    Actions Linux             .
    Microsoft 365 Copilot                     Microsoft              .                    .                         .
"""  # noqa: E501
"""Charges of two dollars: of Copilot paid through Azure, our own export, one product of a company, a marketplace, a
gateway's export, in capitals, of a gateway that bills; then those of other bills, such as seats, which no connection
bills."""
FOUND = """
    GitHub              github_copilot
    OpenAI API          openai
    ChatGPT Enterprise  chatgpt
    Claude              anthropic
    gpt-5               chatgpt
    gpt-5               openai
    CURSOR teams        cursor
    OpenRouter          openrouter
"""
"""Services, and the connections that bill the same on that day."""


def test_a_charge_is_of_the_provider_whose_service_it_names_or_else_of_who_sells_it(days: Days) -> None:
    """All other connections bill something on the first day, and nothing on the second one."""
    for row in OTHERS:
        days.spent(type(row), row)
    for day in days_from(2):
        charges = raws(Charges, CHARGES, usage_date=day, billed_cost=2)
        of_day = [msgspec.structs.replace(each, charge_description=str(n)) for n, each in enumerate(charges)]
        days.spent(Charges, *of_day, first=day)
    rows = days.read("from costs.billed_twice")
    found = [(row["service"], row["billed_by"]) for row in rows]
    assert sorted(found) == sorted(lines(FOUND))
    assert {(row["connection"], row["usage_date"], row["amount_usd"]) for row in rows} == {("focus", DAY, 2)}
    [file] = sql_files("warnings/daily_costs/focus_charges.billed_twice.sql")
    warnings = days.read(file.read_text())
    [openai] = [row for row in warnings if row["service"].startswith("OpenAI API")]
    assert sorted(seen(openai.items())) == lines(f"""
        amount_usd     2
        billed_by      openai
        billed_by_usd  9
        connection     focus
        service        OpenAI API
        unit           USD
        usage_date     {DAY}
    """)
    assert len(warnings) == len(rows)


OPENAI = {"service_name": "AI", "charge_description": "x", "service_provider_name": "OpenAI"}
MISTRAL = {**OPENAI, "service_provider_name": "Mistral"}


SEVERAL = {
    "seller": (OPENAI, OPENAI | {"invoice_issuer_name": "AWS"}, [Decimal(5)]),
    "seller and service": (OPENAI, OPENAI | {"sku_meter": "OpenAI API"}, [Decimal(5)]),
    "two sellers": (OPENAI, MISTRAL, []),
    "service of one": (MISTRAL, MISTRAL | {"sku_meter": "OpenAI API"}, []),
    "a cloud's service": (OPENAI, OPENAI | {"sku_meter": "Azure OpenAI"}, []),
    "without dollars": (OPENAI, OPENAI | {"billing_currency": "EUR"}, [None]),
}
"""What is the same of two charges -> both, and the dollars that are found. Each is on a day of its own."""


def test_charges_that_costs_add_up_are_found_if_all_are_of_one_provider(days: Days) -> None:
    """A row of costs has all charges of a service, description and day: whose its dollars are, it does not say."""
    by_day = dict(zip(days_from(len(SEVERAL)), SEVERAL.values(), strict=True))
    last = max(by_day)
    euros = [raw(Costs, usage_date=day, amount_currency="eur", line_item="euros") for day in by_day]
    days.spent(Costs, *euros, *(raw(Costs, usage_date=day, amount_value=9) for day in by_day), last=last)
    charges = [
        raw(Charges, usage_date=day, billed_cost=usd, resource_id=str(usd), **charge)
        for day, (one, other, _) in by_day.items()
        for usd, charge in ((2, one), (3, other))
    ]
    days.spent(Charges, *charges, last=last)
    found: dict[date, list[Decimal | None]] = {day: [] for day in by_day}
    for row in days.read("from costs.billed_twice"):
        found[row["usage_date"]].append(row["amount_usd"])
        assert row["billed_by_usd"] is None
    assert dict(zip(SEVERAL, found.values(), strict=True)) == {case: usd for case, (*_, usd) in SEVERAL.items()}


def test_days_of_which_one_has_no_dollars_have_no_sum(days: Days) -> None:
    next_day = DAY + timedelta(days=1)
    both = [(DAY, "EUR", Decimal(2)), (next_day, "USD", Decimal(3))]
    days.spent(Costs, *(raw(Costs, usage_date=day, amount_value=9) for day, _, _ in both), last=next_day)
    rows = [raw(Charges, usage_date=day, billing_currency=code, billed_cost=cost, **OPENAI) for day, code, cost in both]
    days.spent(Charges, *rows, last=next_day)
    [pair] = billed_twice(days.warehouse)
    assert (pair.days, pair.amount_usd) == (2, None)


def test_the_page_names_every_provider_and_every_name_of_its_bill() -> None:
    page = PAGE.read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for provider in PROVIDERS.values():
        assert any(f"`{provider.name}`" in row for row in rows), provider.name
        if named := provider.billed_as:
            cells = [", ".join(f"`{name}`" for name in names) or "-" for names in (named.services, named.sellers)]
            assert f"| `{provider.name}` | {' | '.join(cells)} |" in rows
