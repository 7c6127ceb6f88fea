"""What an assistant may see: people, teams and connections, and the views that show no more than that.

The views have the names of those of the warehouse and stand before them: a query cannot name the others. Whatever is
hidden is hidden in the columns, so no SQL finds it. A text column that is not known here is left out.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.readable import quoted
from usage_assets_assistant.query.untrusted import Relation

People = Literal["none", "hashed", "names"]
A_PERSON = "a person"
A_HASH = "person-"
KEY = "key_of_people"
"""The variable of DuckDB that holds the key of hashes. A query cannot read it, nor the text of a view."""
OF_PEOPLE: Mapping[str, str] = {
    "email": "id",
    "person": "person",
    "user_email": "user_id",
    "user_id": "user_id",
    "user_name": "user_id",
    "x_UserId": "x_UserId",
}
"""Column of a person -> that of the id which a hash stands for."""
BY_KIND: Mapping[str, tuple[str, str]] = {
    "actor_id": ("actor_kind", "actor_id"),
    "actor_name": ("actor_kind", "actor_id"),
    "id": ("kind", "id"),
    "name": ("kind", "id"),
    "person_id": ("actor_kind", "person_id"),
    "person_name": ("actor_kind", "person_id"),
    "scope_id": ("scope_type", "scope_id"),
}
"""Column -> the column that says whether it is of a person (without it, it is), and that of the id."""
KINDS_OF_OTHERS = (
    *("all", "api_key", "connection", "cost_center", "model", "organization", "project", "provider"),
    *("service_account", "team", "unknown", "workspace"),
)
"""Any other kind may be one of people."""
_AS_STORED = """
actor_kind asset category cause change charge_category charge_frequency connection context_window cost_basis
cost_source cost_type costs_stated counted_in currency developer family frequency inference_geo kind measure metric
model_family named_provider native_unit period provider scope_type service_tier slice source_table state table_name
token_type unit usage_family usage_type use usd_reason variant version x_Connection x_CostBasis x_NativeUnit
x_SourceTable check_name doubts rule BillingCurrency ChargeCategory ChargeFrequency ConsumedUnit
PricingCurrency PricingUnit
"""
AS_STORED = frozenset(_AS_STORED.split())
"""Texts of a fixed form, which cannot hold an address. Filters on them reach the tables."""
_CHOSEN = """
allocation api_key api_key_display_name api_key_id api_key_name basis because billed_by budget cost_center
expected_reason shared_cost
gateway gateway_model grouped_by incident left_out_reason line_item model plan product project_id project_name
quantity_reason rates reason run_id service set_name source tag tag_allocation tag_family team thresholds total
usd_rate_source what workspace_id workspace_name BillingAccountId BillingAccountName ChargeClass ChargeDescription
CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName CommitmentDiscountStatus
CommitmentDiscountType CommitmentDiscountUnit HostProviderName InvoiceId InvoiceIssuerName ProviderName
PublisherName RegionId RegionName ResourceType ServiceCategory ServiceName
ServiceProviderName ServiceSubcategory SkuId SkuMeter SkuPriceId SubAccountId SubAccountName SubAccountType
x_Allocation x_AllocationBasis x_ApiKeyId x_ContextWindow x_InferenceGeo x_InvoiceId x_Model x_QuantitySource
x_ServiceTier x_UsageType x_UsdPerCreditSource
"""
CHOSEN = frozenset(_CHOSEN.split())
"""Texts that somebody chose: an address in them is hidden with people. (A cloud's ResourceId may name one.)"""
COMPARED = frozenset(
    ("amount_usd", "api-key", "currency", "end", "first_day", "month", "project", "start", "usage_date", "workspace")
)
"""Other columns, and options of `usage-assets explain`, that say which rows are meant, and name nobody."""
AN_ADDRESS = "an address"
ADDRESS = r"[^\s@<>(),;:]+@[^\s@<>(),;:]+"
HIDDEN = frozenset(
    ("costs", name)
    for name in (
        *("allocated_costs_sums", "daily_costs_sums", "listed_seats", "names", "people", "seat_counts", "seat_use"),
        *("seats", "what_if"),  # tools have them
    )
)
"""What no assistant needs, and what is about people alone."""
OFFERED: Mapping[str, Collection[str]] = {
    "accounting": ("credit_rates", "exchange_rates"),
    "ledger": ("awaited_days", "day_states", "due_days", "late_days", "restatements"),
    "models": ("names", "names_in_costs", "usage_families"),
}
"""Schema besides costs -> what an assistant may ask for."""
OF_EVERYBODY = ("accounting", "models")
"""Schemas that name no team or connection."""
OF_ANY_USE = frozenset(
    (
        ("accounting", "credit_rates"),
        ("models", "names"),
        ("models", "names_in_costs"),
        ("models", "usage_families"),
    )
)
"""What says that some team or connection uses something: only whoever sees all of them may ask for it."""
SCOPES = (("kind", "id"), ("scope_type", "scope_id"))
"""Columns that say what a row is about."""
TEXTS = ("JSON", "VARCHAR")
SCALAR = re.compile(r"(?:U?(?:TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|DOUBLE|BOOLEAN|DATE|DECIMAL\(.*\)|TIMESTAMP.*)")
LISTS = ("connections", "models", "providers", "usage_types")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What an assistant may see."""

    people: People = "none"
    teams: Collection[str] = ()
    """Teams; all if there are none."""
    connections: Collection[str] = ()
    """Connections; all if there are none."""
    key: str = field(default="", repr=False)
    """Of hashes."""

    @property
    def is_whole(self) -> bool:
        """Whether it sees all teams and connections."""
        return not self.teams and not self.connections

    @property
    def in_words(self) -> str:
        """What it sees, as people read it."""
        people = {"none": "people hidden", "hashed": "people as hashes", "names": "people as stored"}[self.people]
        only = [
            f"{kind} {', '.join(names)}"
            for kind, names in (("teams", self.teams), ("connections", self.connections))
            if names
        ]
        return ", ".join((people, *(f"only {each}" for each in only)))

    def offers(self, relation: Relation) -> bool:
        """Whether an assistant may ask for a table or view, as far as it is about what it may see."""
        schema, name = relation
        if relation in OF_ANY_USE and not self.is_whole:
            return False
        return (schema == "costs" and relation not in HIDDEN) or name in OFFERED.get(schema, ())

    def sees_team(self, name: object) -> bool:
        return not self.teams or name in self.teams

    def sees_connection(self, name: object) -> bool:
        return not self.connections or name in self.connections

    def names_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is shown of the columns of any row."""
        if self.people == "names":
            return dict(row)
        shown = {name: value for name, value in row.items() if name in AS_STORED | CHOSEN or isinstance(value, date)}
        return {name: self.text(value) if isinstance(value, str) else value for name, value in shown.items()}

    def text(self, text: str) -> str:
        """Return a text without addresses of people."""
        return text if self.people == "names" else re.sub(ADDRESS, AN_ADDRESS, text)

    def person_sql(self, column: str, id_column: str) -> str:
        """Return what a query shows of a column of a person."""
        if self.people == "names":
            return f'"{column}"'
        shown = quoted(A_PERSON)
        if self.people == "hashed":
            shown = f"'{A_HASH}' || left(sha256(getvariable('{KEY}') || \"{id_column}\"), 24)"
        return f'if("{column}" is null, null, {shown})'

    def column_sql(self, column: str, type_: str, others: Collection[str]) -> str | None:
        """Return what a query shows of a column, beside others of its table; None: nothing."""
        if self.people == "names" or column in AS_STORED or (type_ == "VARCHAR[]" and column in LISTS):
            return f'"{column}"'
        if type_ not in TEXTS:
            return f'"{column}"' if SCALAR.fullmatch(type_) else None
        chosen = f"regexp_replace(\"{column}\", '{ADDRESS}', '{AN_ADDRESS}', 'g')"
        if column in OF_PEOPLE:
            id_column = OF_PEOPLE[column]
            return self.person_sql(column, id_column if id_column in others else column)
        if column in BY_KIND:
            kind, id_column = BY_KIND[column]
            person = self.person_sql(column, id_column)
            return f"if({kind} in {KINDS_OF_OTHERS}, {chosen}, {person})" if kind in others else person
        return chosen if column in CHOSEN else None

    def condition(self, relation: Relation, columns: Collection[str]) -> str | None:
        """Return which rows of a table or view it sees; None: none, because its rows are of others, too."""
        conditions, needed = ["true"], set[str]()
        for names, column in ((self.teams, "team"), (self.connections, "connection")):
            if not names or relation[0] in OF_EVERYBODY:
                continue
            listed = f"in ({', '.join(map(quoted, names))})"
            kind, id_ = next((pair for pair in SCOPES if {*pair} <= {*columns}), ("", ""))
            of_focus = f"x_{column.capitalize()}"
            if column in columns or of_focus in columns:
                conditions.append(f'"{column if column in columns else of_focus}" {listed}')
            elif kind and kind not in needed:
                needed.add(kind)  # a row is of a team, or of a connection
                conditions.append(f"{kind} = '{column}' and {id_} {listed}")
            else:
                return None
        return " and ".join(conditions)

    def view_of(self, relation: Relation, columns: Mapping[str, str], stored: str) -> str:
        """Return the query of a view of a table or view of the catalog ``stored``. Raises WarehouseError."""
        schema, name = relation
        condition = self.condition(relation, columns)
        if condition is None:
            raise WarehouseError(
                f"{schema}.{name} is about more than this assistant may see ({self.in_words}): choose a view of teams "
                "or connections"
            )
        shown = {column: self.column_sql(column, type_, columns) for column, type_ in columns.items()}
        listed = ",\n".join(f'  {text or f"null::{columns[column]}"} as "{column}"' for column, text in shown.items())
        return f"select\n{listed}\nfrom {stored}.{schema}.{name}\nwhere {condition}"


def may_name(column: str, stated: Mapping[str, str]) -> bool:
    """Whether a column may be compared with what is stated by somebody from whom people are hidden: whoever may ask
    what one spent need not be told a name."""
    if column in BY_KIND:
        return stated.get(BY_KIND[column][0]) in KINDS_OF_OTHERS
    return column in AS_STORED | CHOSEN | COMPARED
