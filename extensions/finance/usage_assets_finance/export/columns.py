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
    def kind(self) -> str:
        """``text``, ``number`` (an exact decimal, whose unit the view says) or ``time``."""
        if self.source.endswith("]"):
            return "number"
        return "time" if self.name.endswith(("Start", "End")) else "text"

    @property
    def versions(self) -> Sequence[str]:
        """The versions that have it."""
        last = VERSIONS.index(self.removed) if self.removed else len(VERSIONS)
        return VERSIONS[VERSIONS.index(self.since) : last]


INTERNAL = "x_FirstDay"
"""A column of the view that no file has."""
SINCE = dict.fromkeys(("HostProviderName", "ServiceProviderName"), "1.3")
REMOVED = dict.fromkeys(("ProviderName", "PublisherName"), "1.4")
CRITERIA: Mapping[str, Sequence[str]] = {
    "ACCOUNT_NAMING_SUPPORTED": ("BillingAccountName",),
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED": ("SubAccountType",),
    "NEGOTIATED_PRICING_SUPPORTED": ("ContractedUnitPrice",),
    "PUBLIC_PRICE_LIST_SUPPORTED": (
        *("ListUnitPrice", "PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice"),
        *("SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"),
    ),
    "SUB_ACCOUNT_SUPPORTED": ("SubAccountId", "SubAccountName"),
    "TAGGING_SUPPORTED": ("Tags",),
    "UNIT_PRICING_SUPPORTED": ("SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"),
    "USAGE_MEASUREMENT_SUPPORTED": ("ConsumedQuantity", "ConsumedUnit"),
}
"""Criterion -> the columns that it makes mandatory."""
COLUMNS: Sequence[FocusColumn] = [
    FocusColumn(
        name,
        SINCE.get(name, VERSIONS[0]),
        REMOVED.get(name),
        tuple(criterion for criterion, columns in CRITERIA.items() if name in columns),
    )
    for name in SOURCES
    if name != INTERNAL
]


def columns_of(version: str) -> Sequence[FocusColumn]:
    """Return the columns that a file of a version has, in their order."""
    return [column for column in COLUMNS if version in column.versions]
