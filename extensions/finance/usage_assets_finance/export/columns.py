"""The columns of a FOCUS file: in which versions each exists, and what makes it mandatory.

Where a value comes from is said in the SQL of the view ``costs.focus``, and is the column's comment in the warehouse.

The export, the page of all tables and the validator's criteria follow from it. It imports only the standard library,
because ``demo/validate_focus.py`` imports it in another environment.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VERSIONS = ("1.2", "1.3", "1.4")
VIEW = Path(__file__).parents[1] / "sql" / "views" / "costs.daily_costs_to_focus.sql"
SOURCES: Mapping[str, str] = {
    name: text.replace("\n--   ", " ")
    for name, text in re.findall(r"^-- column (\w+): (.*(?:\n--   .*)*)", VIEW.read_text(), re.M)
}
"""Column -> where its value comes from."""


@dataclass(frozen=True)
class FocusColumn:
    """A column of ``costs.focus``, as FOCUS or, with ``x_``, as this project calls it."""

    name: str
    kind: str = "text"
    """``text``, ``number`` (an exact decimal) or ``time``."""
    since: str = VERSIONS[0]
    removed: str | None = None
    """The version that removed it."""
    criteria: tuple[str, ...] = ()
    """FOCUS's applicability criteria that make it mandatory, as 1.2's model names them; none: no criterion does."""

    @property
    def source(self) -> str:
        """Where its value comes from, as the view's SQL says it."""
        return SOURCES[self.name]

    @property
    def versions(self) -> Sequence[str]:
        """The versions that have it."""
        last = VERSIONS.index(self.removed) if self.removed else len(VERSIONS)
        return VERSIONS[VERSIONS.index(self.since) : last]


PRICED = ("UNIT_PRICING_SUPPORTED", "PUBLIC_PRICE_LIST_SUPPORTED")
COLUMNS: Sequence[FocusColumn] = (
    FocusColumn("BilledCost", "number"),
    FocusColumn("BillingAccountId"),
    FocusColumn("BillingAccountName", criteria=("ACCOUNT_NAMING_SUPPORTED",)),
    FocusColumn("BillingCurrency"),
    FocusColumn("BillingPeriodEnd", "time"),
    FocusColumn("BillingPeriodStart", "time"),
    FocusColumn("ChargeCategory"),
    FocusColumn("ChargeClass"),
    FocusColumn("ChargeDescription"),
    FocusColumn("ChargeFrequency"),
    FocusColumn("ChargePeriodEnd", "time"),
    FocusColumn("ChargePeriodStart", "time"),
    FocusColumn("CommitmentDiscountCategory"),
    FocusColumn("CommitmentDiscountId"),
    FocusColumn("CommitmentDiscountName"),
    FocusColumn("CommitmentDiscountQuantity", "number"),
    FocusColumn("CommitmentDiscountStatus"),
    FocusColumn("CommitmentDiscountType"),
    FocusColumn("CommitmentDiscountUnit"),
    FocusColumn("ConsumedQuantity", "number", criteria=("USAGE_MEASUREMENT_SUPPORTED",)),
    FocusColumn("ConsumedUnit", criteria=("USAGE_MEASUREMENT_SUPPORTED",)),
    FocusColumn("ContractedCost", "number"),
    FocusColumn("ContractedUnitPrice", "number", criteria=("NEGOTIATED_PRICING_SUPPORTED",)),
    FocusColumn("EffectiveCost", "number"),
    FocusColumn("HostProviderName", since="1.3"),
    FocusColumn("InvoiceId"),
    FocusColumn("InvoiceIssuerName"),
    FocusColumn("ListCost", "number"),
    FocusColumn("ListUnitPrice", "number", criteria=("PUBLIC_PRICE_LIST_SUPPORTED",)),
    FocusColumn("PricingCurrency"),
    FocusColumn("PricingCurrencyContractedUnitPrice", "number", criteria=("PUBLIC_PRICE_LIST_SUPPORTED",)),
    FocusColumn("PricingCurrencyEffectiveCost", "number"),
    FocusColumn("PricingCurrencyListUnitPrice", "number", criteria=("PUBLIC_PRICE_LIST_SUPPORTED",)),
    FocusColumn("PricingQuantity", "number"),
    FocusColumn("PricingUnit"),
    FocusColumn("ProviderName", removed="1.4"),
    FocusColumn("PublisherName", removed="1.4"),
    FocusColumn("RegionId"),
    FocusColumn("RegionName"),
    FocusColumn("ResourceId"),
    FocusColumn("ResourceName"),
    FocusColumn("ResourceType"),
    FocusColumn("ServiceCategory"),
    FocusColumn("ServiceName"),
    FocusColumn("ServiceProviderName", since="1.3"),
    FocusColumn("ServiceSubcategory"),
    FocusColumn("SkuId", criteria=PRICED),
    FocusColumn("SkuMeter", criteria=PRICED),
    FocusColumn("SkuPriceDetails", criteria=PRICED),
    FocusColumn("SkuPriceId", criteria=PRICED),
    FocusColumn("SubAccountId", criteria=("SUB_ACCOUNT_SUPPORTED",)),
    FocusColumn("SubAccountName", criteria=("SUB_ACCOUNT_SUPPORTED",)),
    FocusColumn("SubAccountType", criteria=("MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED",)),
    FocusColumn("Tags", criteria=("TAGGING_SUPPORTED",)),
    FocusColumn("x_Allocation"),
    FocusColumn("x_AllocationBasis"),
    FocusColumn("x_ApiKeyId"),
    FocusColumn("x_Connection"),
    FocusColumn("x_ContextWindow"),
    FocusColumn("x_CostBasis"),
    FocusColumn("x_InferenceGeo"),
    FocusColumn("x_InvoiceId"),
    FocusColumn("x_Model"),
    FocusColumn("x_NativeAmount", "number"),
    FocusColumn("x_NativeUnit"),
    FocusColumn("x_OtherColumns"),
    FocusColumn("x_QuantitySource"),
    FocusColumn("x_ServiceTier"),
    FocusColumn("x_SourceTable"),
    FocusColumn("x_TagShares"),
    FocusColumn("x_UsageType"),
    FocusColumn("x_UsdPerCredit", "number"),
    FocusColumn("x_UsdPerCreditSource"),
    FocusColumn("x_UserId"),
)


def columns_of(version: str) -> Sequence[FocusColumn]:
    """Return the columns that a file of a version has, in their order."""
    return [column for column in COLUMNS if version in column.versions]
