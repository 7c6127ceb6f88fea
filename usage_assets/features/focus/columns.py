"""The columns of a FOCUS file: in which versions each exists, what makes it mandatory, and where its value comes from.

The export, the page of all tables and the validator's criteria follow from it. It imports only the standard library,
because ``demo/validate_focus.py`` imports it in another environment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

VERSIONS = ("1.2", "1.3", "1.4")


@dataclass(frozen=True)
class FocusColumn:
    """A column of ``costs.focus``, as FOCUS or, with ``x_``, as this project calls it."""

    name: str
    source: str
    """Where its value comes from, as the page of all tables says it."""
    kind: str = "text"
    """``text``, ``number`` (an exact decimal) or ``time``."""
    since: str = VERSIONS[0]
    removed: str | None = None
    """The version that removed it."""
    criteria: tuple[str, ...] = ()
    """FOCUS's applicability criteria that make it mandatory, as 1.2's model names them; none: no criterion does."""

    @property
    def versions(self) -> Sequence[str]:
        """The versions that have it."""
        last = VERSIONS.index(self.removed) if self.removed else len(VERSIONS)
        return VERSIONS[VERSIONS.index(self.since) : last]


PRICED = ("UNIT_PRICING_SUPPORTED", "PUBLIC_PRICE_LIST_SUPPORTED")
FROM_FILES = "from files, as there; otherwise null: nobody states it"
COMPANY = "the company that provides the service; the provider's id if this release does not know it"
COLUMNS: Sequence[FocusColumn] = (
    FocusColumn(
        "BilledCost", "the amount in its own currency; 0 for credits that are used, the price paid for them", "number"
    ),
    FocusColumn("BillingAccountId", "the connection: not every provider reports the organization's id"),
    FocusColumn("BillingAccountName", "the connection", criteria=("ACCOUNT_NAMING_SUPPORTED",)),
    FocusColumn("BillingCurrency", "the provider's currency, nothing is converted; USD for credits"),
    FocusColumn("BillingPeriodEnd", "the end of the calendar month, UTC", "time"),
    FocusColumn("BillingPeriodStart", "the calendar month, UTC; for a purchase, the month in which it begins", "time"),
    FocusColumn(
        "ChargeCategory",
        "Usage or Purchase; from files, its own: also Tax, Credit and Adjustment",
    ),
    FocusColumn("ChargeClass", "`Correction`, see [corrections](focus.md#corrections)"),
    FocusColumn("ChargeDescription", "the bill's line item or description, otherwise model and kind of usage"),
    FocusColumn(
        "ChargeFrequency",
        "Usage-Based; for a purchase One-Time, or Recurring (seats that a provider bills); from files, its own",
    ),
    FocusColumn("ChargePeriodEnd", "the end of the day; of a purchase without an end, that of its month", "time"),
    FocusColumn("ChargePeriodStart", "the UTC day; for a purchase, its first day", "time"),
    FocusColumn("CommitmentDiscountCategory", FROM_FILES),
    FocusColumn("CommitmentDiscountId", FROM_FILES),
    FocusColumn("CommitmentDiscountName", FROM_FILES),
    FocusColumn("CommitmentDiscountQuantity", FROM_FILES, "number"),
    FocusColumn(
        "CommitmentDiscountStatus",
        f"{FROM_FILES}. FOCUS's validator cannot judge `ConsumedQuantity` without this column",
    ),
    FocusColumn("CommitmentDiscountType", FROM_FILES),
    FocusColumn("CommitmentDiscountUnit", FROM_FILES),
    FocusColumn(
        "ConsumedQuantity",
        "what was used, see [quantities](focus.md#quantities-and-prices); null for a purchase",
        "number",
        criteria=("USAGE_MEASUREMENT_SUPPORTED",),
    ),
    FocusColumn(
        "ConsumedUnit",
        "Tokens, Requests, Images, Characters, Seconds, Credits, …; `Units` if no quantity is known",
        criteria=("USAGE_MEASUREMENT_SUPPORTED",),
    ),
    FocusColumn("ContractedCost", "what the charge costs, after discounts", "number"),
    FocusColumn(
        "ContractedUnitPrice",
        "`ContractedCost` / `PricingQuantity`, rounded to 24 decimal places; the rate for credits",
        "number",
        criteria=("NEGOTIATED_PRICING_SUPPORTED",),
    ),
    FocusColumn("EffectiveCost", "`ContractedCost`; 0 for credits that are bought", "number"),
    FocusColumn("HostProviderName", COMPANY, since="1.3"),
    FocusColumn(
        "InvoiceId",
        "the `[[invoice]]` of the month, the `id` of a purchase; filled in every row of a file or in none "
        "(see `x_InvoiceId`)",
    ),
    FocusColumn("InvoiceIssuerName", "the company that invoices it, if that is known; otherwise `ServiceProviderName`"),
    FocusColumn(
        "ListCost", "the cost before discounts, if the provider states it; otherwise `ContractedCost`", "number"
    ),
    FocusColumn(
        "ListUnitPrice",
        "`ListCost` / `PricingQuantity`, rounded to 24 decimal places; the rate for credits",
        "number",
        criteria=("PUBLIC_PRICE_LIST_SUPPORTED",),
    ),
    FocusColumn("PricingCurrency", "`Credits`, otherwise `BillingCurrency`"),
    FocusColumn(
        "PricingCurrencyContractedUnitPrice",
        "1 credit for a credit that is used, otherwise `ContractedUnitPrice`",
        "number",
        criteria=("PUBLIC_PRICE_LIST_SUPPORTED",),
    ),
    FocusColumn("PricingCurrencyEffectiveCost", "the number of credits, otherwise `EffectiveCost`", "number"),
    FocusColumn(
        "PricingCurrencyListUnitPrice",
        "1 credit for a credit that is used, otherwise `ListUnitPrice`",
        "number",
        criteria=("PUBLIC_PRICE_LIST_SUPPORTED",),
    ),
    FocusColumn(
        "PricingQuantity",
        "the quantity that has the unit price; 1 (-1 for a refund) if there is none; null for taxes, credits and "
        "adjustments",
        "number",
    ),
    FocusColumn("PricingUnit", "the bill's unit, such as `1000 Tokens`; `Units` if there is none"),
    FocusColumn("ProviderName", COMPANY, removed="1.4"),
    FocusColumn("PublisherName", COMPANY, removed="1.4"),
    FocusColumn("RegionId", FROM_FILES),
    FocusColumn("RegionName", FROM_FILES),
    FocusColumn("ResourceId", FROM_FILES),
    FocusColumn("ResourceName", FROM_FILES),
    FocusColumn("ResourceType", FROM_FILES),
    FocusColumn("ServiceCategory", "AI and Machine Learning"),
    FocusColumn("ServiceName", "the service, as the company calls it"),
    FocusColumn("ServiceProviderName", COMPANY, since="1.3"),
    FocusColumn("ServiceSubcategory", "Generative AI"),
    FocusColumn(
        "SkuId",
        "`<provider>/<model>`; without a model, the kind of usage, the line item, `Credits` or `Seats` in its place",
        criteria=PRICED,
    ),
    FocusColumn(
        "SkuMeter",
        "what is measured: the kind of usage, such as `Output Tokens` or `Cached Input`; `Credits`, `Seats`",
        criteria=PRICED,
    ),
    FocusColumn(
        "SkuPriceDetails",
        "JSON: `ModelDeveloper` (where a company bills its own models), `ModelFamily` (the model up to its version "
        "number), `ModelId`, `x_TokenType`, `x_ServiceTier`, `x_ContextWindow`, `x_InferenceGeo`; "
        "what is unknown is left out",
        criteria=PRICED,
    ),
    FocusColumn(
        "SkuPriceId",
        "`<SkuId>/<kind of usage>/<service tier>/<context window>/<inference region>`, empty ones at the end left out",
        criteria=PRICED,
    ),
    FocusColumn(
        "SubAccountId", "project or workspace; null for a default workspace", criteria=("SUB_ACCOUNT_SUPPORTED",)
    ),
    FocusColumn("SubAccountName", "its current name", criteria=("SUB_ACCOUNT_SUPPORTED",)),
    FocusColumn("SubAccountType", "which of the two it is", criteria=("MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED",)),
    FocusColumn(
        "Tags",
        "JSON: `team` and `cost_center` as in `costs.by_team` (`unowned` included), `project` and `workspace` by name",
        criteria=("TAGGING_SUPPORTED",),
    ),
    FocusColumn("x_Allocation", "how key and user were found, as in `costs.allocated_costs`; null: not allocated"),
    FocusColumn("x_AllocationBasis", "by what usage they were found, as there"),
    FocusColumn("x_ApiKeyId", "the API key: named by the bill, or found by usage"),
    FocusColumn("x_Connection", "the connection"),
    FocusColumn("x_ContextWindow", "the context window"),
    FocusColumn("x_CostBasis", "`billed`, `credits`, `purchase of credits` or `purchase of seats`"),
    FocusColumn("x_InferenceGeo", "the inference region"),
    FocusColumn("x_InvoiceId", "as `InvoiceId`, in every file"),
    FocusColumn("x_Model", "the model"),
    FocusColumn("x_NativeAmount", "the amount as the provider states it; parts add up exactly", "number"),
    FocusColumn("x_NativeUnit", "its unit: dollars, cents, credits, major units, minor units"),
    FocusColumn("x_OtherColumns", "JSON: of a charge from files, its columns that are not listed here; otherwise null"),
    FocusColumn(
        "x_QuantitySource", "`bill`, `usage`, `shared usage`, `connections file` or `none`: who states the quantity"
    ),
    FocusColumn("x_ServiceTier", "the service tier"),
    FocusColumn("x_SourceTable", "the raw table that holds the bill"),
    FocusColumn(
        "x_TagShares",
        "JSON: the `tag`s of a gateway that share the charge (`costs.tag_shares`): `units` of the sum of all `units`",
    ),
    FocusColumn("x_UsageType", "the kind of usage"),
    FocusColumn("x_UsdPerCredit", "the credit rate", "number"),
    FocusColumn("x_UsdPerCreditSource", "where the rate comes from"),
    FocusColumn("x_UserId", "the user: named by the bill, or found by usage"),
)


def columns_of(version: str) -> Sequence[FocusColumn]:
    """Return the columns that a file of a version has, in their order."""
    return [column for column in COLUMNS if version in column.versions]
