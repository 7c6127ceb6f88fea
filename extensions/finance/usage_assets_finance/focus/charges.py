"""FOCUS files: the bills of clouds and of other vendors, as they write them to a folder or an object store.

Columns are those of the FinOps Foundation's FOCUS 1.0-preview to 1.4. Source: the specification (focus.finops.org), and
the documentation of AWS Data Exports and of Azure Cost Management. No file of a real account has been seen.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated

from usage_assets.provider import (
    CORRECTED_BY,
    FILE,
    KEPT,
    ROW,
    BilledAs,
    CostSource,
    Endpoint,
    FileReport,
    Item,
    Json,
    Moment,
    PageOccurrence,
    Parser,
    Provider,
    Row,
    Total,
    as_json,
    column,
)
from usage_assets_finance.focus.meters import described, object_in

money = partial(column, unit="currency units", additive=False)

MARKETPLACE = ("Claude in Microsoft Foundry*", "*paygo-*tokens")
"""Meters of models in the Marketplace of Azure: SkuMeter in FOCUS 1.2, x_SkuMeterName before. The service of their
charges is that of everything sold there: ``Azure Marketplace`` in Services.csv of Microsoft's FinOps toolkit, ``SaaS``
in Cost Management, or none."""
HOSTED = (
    "Amazon Bedrock*",
    "*(Amazon Bedrock Edition)",  # models of other vendors, billed through the AWS Marketplace
    "Azure OpenAI*",
    "Azure AI Foundry*",
    "Microsoft Foundry*",
    "Foundry Models",
    "Vertex AI*",
    "Gemini API*",
    "Generative Language API",
    *MARKETPLACE,
)
"""Services of clouds that serve models. The bills of those who made the models do not contain this use."""
SERVICES = (
    *HOSTED,
    "x_SkuMeterCategory=Foundry Models",
    "x_SkuMeterSubcategory=Azure OpenAI*",
    *(f"{column}={meter}" for column in ("SkuMeter", "x_SkuMeterName") for meter in MARKETPLACE),
    "ServiceProviderName=fal*",
    "PublisherName=Anthropic*",
    "OpenAI*",
    "ChatGPT*",
    "Claude*",
    "Anthropic*",
)
"""The AI services that are taken unless a connection says otherwise."""


class Charges(Row, kw_only=True, rename="pascal"):
    """One row per connection, day and charge of an AI service, and one per service that is left out.

    The day is the UTC day on which the charge period begins: a charge of several days is not split. billed_cost is what
    is invoiced. effective_cost, list_cost and contracted_cost value the same charge in other ways: never add them. Rows
    with left_out_rows add up all charges of a service that is not taken, billed and effective: the effective cost is
    null if one of them states none. Costs are not computed from them. Charges that are equal in every column are as
    many charges: FOCUS has no identifier of a row.
    """

    table = "focus.charges"
    grain = (
        "billing_account_id",
        "billing_currency",
        "billing_period_start",
        "charge_category",
        "charge_class",
        "charge_description",
        "charge_period_start",
        "charge_period_end",
        "consumed_unit",
        "invoice_id",
        "invoice_issuer_name",
        "pricing_unit",
        "region_id",
        "resource_id",
        "service_category",
        "service_name",
        "service_provider_name",
        "sku_id",
        "sku_meter",
        "sku_price_id",
        "sub_account_id",
        "sub_account_name",
        "other_columns",
        "corrected_by",
        "occurrence",
    )
    pages_may_shift = False
    totals = {
        "tokens": Total("sum(coalesce(exact_tokens, tokens))"),
        "billed_usd": Total(
            "sum(billed_cost) filter (where left_out_rows is null and billing_currency = 'USD')", "USD"
        ),
        "billed": Total(
            "sum(billed_cost) filter (where left_out_rows is null and billing_currency <> 'USD')",
            "{}",
            by="billing_currency",
        ),
        "left_out_usd": Total(
            "sum(billed_cost) filter (where left_out_rows is not null and billing_currency = 'USD')", "USD"
        ),
        "left_out": Total(
            "sum(billed_cost) filter (where left_out_rows is not null and billing_currency <> 'USD')",
            "{}",
            by="billing_currency",
        ),
    }

    billing_account_id: Annotated[str | None, column("Billing account")] = None
    billing_currency: Annotated[str, column("Currency of every amount of the row, ISO 4217")]
    billing_period_start: Annotated[datetime | None, column("Begin of the billing period")] = None
    charge_category: Annotated[str | None, column("Usage, Purchase, Tax, Credit or Adjustment")] = None
    charge_class: Annotated[str | None, column("Correction: corrects an earlier invoice; null otherwise")] = None
    charge_description: Annotated[str | None, column("What the vendor calls the charge")] = None
    charge_period_start: Annotated[
        datetime | None, column("When the charge begins; its UTC day is usage_date. Null in rows of what is left out")
    ] = None
    charge_period_end: Annotated[datetime | None, column("When it ends (exclusive), maybe days later")] = None
    billed_cost: Annotated[Decimal, money("What is invoiced", kind="billed")]
    effective_cost: Annotated[
        Decimal | None, money("Cost with prepaid charges spread over their use", kind="effective")
    ] = None
    list_cost: Annotated[Decimal | None, money("Cost at list prices", kind="list")] = None
    contracted_cost: Annotated[Decimal | None, money("Cost at negotiated prices", kind="contracted")] = None
    consumed_quantity: Annotated[Decimal | None, column("What was used", unit="see consumed_unit", additive=False)] = (
        None
    )
    consumed_unit: Annotated[str | None, column("Unit of consumed_quantity, such as Tokens or 1K tokens")] = None
    pricing_quantity: Annotated[Decimal | None, column("What was priced", unit="see pricing_unit", additive=False)] = (
        None
    )
    pricing_unit: Annotated[str | None, column("Unit of pricing_quantity")] = None
    invoice_id: Annotated[str | None, column("Invoice; often unknown until the month is closed")] = None
    invoice_issuer_name: Annotated[str | None, column("Who invoices")] = None
    region_id: Annotated[str | None, column("Region")] = None
    resource_id: Annotated[str | None, column("Resource")] = None
    service_category: Annotated[str | None, column("Category of the service")] = None
    service_name: Annotated[
        str | None, column("Service; null: the charge names none. Of what is left out: what names it instead")
    ] = None
    service_provider_name: Annotated[
        str | None, column("Who provides the service: ServiceProviderName, ProviderName before FOCUS 1.3")
    ] = None
    sku_id: Annotated[str | None, column("SKU")] = None
    sku_meter: Annotated[str | None, column("What the SKU meters, such as an AWS usage type")] = None
    sku_price_id: Annotated[str | None, column("Price of the SKU")] = None
    sub_account_id: Annotated[str | None, column("Account, subscription or project within the billing account")] = None
    sub_account_name: Annotated[str | None, column("Its name")] = None
    other_columns: Annotated[
        str | None, column("All other columns of the row, tags and x_ columns included, as JSON", personal=True)
    ] = None
    model: Annotated[str | None, column("Model, where the charge or its meter names one")] = None
    usage_type: Annotated[
        str | None, column("Kind of tokens, called as Anthropic's, or the meter of anything else")
    ] = None
    tokens: Annotated[
        int | None,
        column(
            "Tokens that were used, where the unit is one of tokens, rounded; null for what is no use", unit="tokens"
        ),
    ] = None
    exact_tokens: Annotated[
        Decimal | None,
        column("The same with their fraction; null: they have none", unit="tokens", additive=False, is_added=True),
    ] = None
    left_out_rows: Annotated[
        int | None, column("Rows of the service that are left out; null in a row of a charge", unit="rows")
    ] = None
    corrected_by: Annotated[
        str | None,
        column("Set of files (ledger.bill_sets) that does not cover the day; null: the set that does", is_added=True),
    ] = None
    occurrence: PageOccurrence = None


class ChargesOfDay(Item, kw_only=True, rename={"start": "day"}):
    """Rows of files, of one day."""

    start: Moment
    results: list[dict[str, object]]


OURS = frozenset(
    ("connection", "usage_date", "OtherColumns", "Model", "UsageType", "Tokens", "ExactTokens", "CorrectedBy")
)
"""Columns of the table that no file has."""
_KNOWN = frozenset(Charges.__struct_encode_fields__) - OURS
ADDED = (FILE, ROW, CORRECTED_BY)
"""Fields that stand beside the columns of a row."""
EXPORTED = "x_OtherColumns"
"""Where our own export has the columns of a file that it has no column for."""


def charges(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """Yield the rows. Columns that have no column of their own are kept as one JSON text."""
    for n, result in enumerate(item["results"]):
        if isinstance(kept := result.get(KEPT), dict):  # what a file says is text
            yield f"{path}.results[{n}]", kept
            continue
        fields = {name: value for name, value in result.items() if name in _KNOWN}
        others = {name: value for name, value in result.items() if name not in _KNOWN and name not in ADDED}
        if exported := object_in(result, EXPORTED):
            others = {**exported, **others}
            del others[EXPORTED]
        if "x_InvoiceId" in result:  # our own export has no InvoiceId where a charge of the file has none
            fields.setdefault("InvoiceId", result["x_InvoiceId"])
        fields["OtherColumns"] = as_json(parser.people.scrubbed(others)) if others else None
        fields["CorrectedBy"] = result.get(CORRECTED_BY)
        yield f"{path}.results[{n}]", fields if "LeftOutRows" in fields else fields | described(result)


FOCUS = Provider(
    name="focus",
    surface=2,
    module=__name__,
    position=6,
    company="FOCUS files",
    service="FOCUS files",
    billed_as=BilledAs(services=HOSTED),
    people_ids="local",
    sub_account_type="Account",
    default_sub_account="no sub account",
    advice={},
    settling_days=40,  # clouds close a bill within about 10 days after the month's end
    costs=(
        CostSource(
            table="focus.charges",
            rows="focus.charges where left_out_rows is null",
            columns={
                "native_amount": "billed_cost",
                "effective_amount": "effective_cost",
                "contracted_amount": "contracted_cost",
                "list_amount": "list_cost",
                "currency": "billing_currency",
                "charge_category": "charge_category",
            },
            total="concat_ws(' ', replace(replace(measure, '_amount', ''), 'native', 'billed'), charge_category)",
            billed_totals="billed_*",
            is_focus=True,
        ),
    ),
    endpoints=(
        Endpoint(
            name="charges",
            group="charges",
            path="files",
            row=Charges,
            item=ChargesOfDay,
            records=charges,
            window_days=400,  # files are read once per window
            window_params=lambda _: {},
            filters=("services",),
            bucket_per_day=True,
            seen_live=False,
            files=FileReport(
                required=(
                    "BilledCost",
                    "BillingCurrency",
                    "ChargeCategory",
                    "ChargePeriodStart",
                ),
                former_names={
                    "ProviderName": "ServiceProviderName",  # before 1.3; the others are those of 1.0-preview
                    "Provider": "ServiceProviderName",
                    "Publisher": "PublisherName",
                    "InvoiceIssuer": "InvoiceIssuerName",
                    "Region": "RegionId",
                    "UsageQuantity": "ConsumedQuantity",
                    "UsageUnit": "ConsumedUnit",
                },
                words={
                    "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
                    "ChargeClass": ("Correction",),
                },
                begins="ChargePeriodStart",
                ends="ChargePeriodEnd",
                period=("BillingPeriodStart", "BillingPeriodEnd"),
                times=("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"),
                amounts=(
                    "BilledCost",
                    "ContractedCost",
                    "ContractedUnitPrice",
                    "EffectiveCost",
                    "ListCost",
                    "ListUnitPrice",
                    "PricingCurrencyContractedUnitPrice",
                    "PricingCurrencyEffectiveCost",
                    "PricingCurrencyListUnitPrice",
                ),
                quantities=("CommitmentDiscountQuantity", "ConsumedQuantity", "PricingQuantity"),
                amount="BilledCost",
                amortized="EffectiveCost",
                currency="BillingCurrency",
                billed_together=("BillingAccountId", "InvoiceIssuerName", "BillingPeriodStart"),
                use=("ChargeCategory", "Usage"),
                late=("ChargeClass", "Correction"),
                taken=SERVICES,
                taken_by="services",
                named_by=("ServiceName", "x_SkuMeterSubcategory", "PublisherName"),
                left_out_by=("ServiceProviderName", "ServiceCategory"),
                left_out_rows="LeftOutRows",
            ),
        ),
    ),
)
