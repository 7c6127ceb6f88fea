"""Finds connections that fetch or bill the same usage, which would count every dollar twice in sums over connections.

If the settings prove it, the graph does not load. If stored ids or accounts show it, ``usage-assets doctor`` fails, and
no statement is issued.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import combinations

from usage_assets.config.settings import Connection
from usage_assets.core.days import Window, counted
from usage_assets.fetching.connected import endpoints_of, filters_of
from usage_assets.models.costs import costs_of
from usage_assets.providers import LOOKUPS, PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.paths import parameters_of
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.tables import STORED
from usage_assets.warehouse.views import HAS_VIEW

IDS: Mapping[tuple[str, str], str] = {
    (lookup.row.table, "id"): lookup.row.table for lookup in LOOKUPS if lookup.is_of_one_organization
} | {
    (row.table, name): f"{provider.name} {name}"
    for provider in PROVIDERS.values()
    for path, row in (
        *((endpoint.path, endpoint.row) for endpoint in provider.endpoints),
        *((lookup.path, lookup.row) for lookup in provider.lookups),
    )
    for name in parameters_of(path)
    if name != "id" and name in row.__struct_fields__
}
"""Table and column of ids that only one organization has -> what they are ids of. A seat may list several."""
ALWAYS = Window(date.min, date.max)
SAME_DAYS = """
select
  one.connection as one,
  other.connection as other,
  min(one.table_name) as table_name,
  min(one.id) as id,
  (
    select list(distinct mine.usage_date order by mine.usage_date)
    from ledger.stored_days as mine
    join ledger.stored_days as theirs using (table_name, slice, usage_date)
    where mine.connection = one.connection
      and mine.usage_date between $first and $last
      and theirs.connection = other.connection
      and mine.row_count > 0
      and theirs.row_count > 0
  ) as days
from ids as one
join ids as other using (kind, id)
where one.connection < other.connection
group by one.connection, other.connection
having len(days) > 0
order by all
"""
BILLED_BY_BOTH = """
select
  connection,
  coalesce(superseded_by, perhaps_by) as other,
  superseded_by is not null as is_proven,
  count(distinct usage_date) as days,
  if(count(amount_usd) = count(*), sum(amount_usd), null) as amount_usd
from ledger.superseded_days
join costs.daily_costs using (connection, usage_date)
where cost_basis = 'billed' and usage_date between $first and $last
group by connection, other, is_proven
order by all
"""


@dataclass(frozen=True)
class BilledByBoth:
    """A bill that connections of another provider hold, too."""

    connection: str
    other: str
    is_proven: bool
    """Whether they are of one organization: then the costs are computed again, without it. Otherwise nobody knows."""
    days: int
    amount_usd: Decimal | None
    """What the connection bills on these days; None where a part has no rate."""

    @property
    def text(self) -> str:
        amount = "an unknown amount" if self.amount_usd is None else f"${self.amount_usd:.2f}"
        both = f"{self.connection} and {self.other} both bill {counted(self.days)}"
        if self.is_proven:
            return f"{both}: {amount} of {self.connection} is counted twice until usage-assets backfill --due"
        return (
            f"{both}, and nothing says whether they are of one organization: if they are, {amount} of "
            f"{self.connection} is counted twice. State the organization of each in the connections file and store it "
            "(usage-assets accounting --store), or remove one of them (usage-assets connection remove)"
        )


@dataclass(frozen=True)
class SameUse:
    """Two connections that hold the same organization's usage of the same days."""

    connections: tuple[str, str]
    table: str
    """Where an id is that both have."""
    id: str
    on: Sequence[date]
    """The days that are stored of both."""

    @property
    def days(self) -> int:
        return len(self.on)


def refuse_same_use(connections: Sequence[Connection]) -> None:
    """Raise SettingsError for the first connection that certainly asks for what another one asks for."""
    alike: defaultdict[tuple[str, ...], list[Connection]] = defaultdict(list)
    for connection in connections:
        if account := _account(connection):
            alike[account].append(connection)
    for group in alike.values():
        for one, other in combinations(group, 2):
            if any(_is_part(one, other, endpoint) for endpoint in _asked_by_both(one, other)):
                same = next(iter(PROVIDERS[one.provider].needed_ids(one.ids)), "key")
                raise other.refusal(
                    same,
                    reason=f"connection {one.name} asks for the same usage (same {same} and address), which would be "
                    "counted twice: remove one of the two, or give them endpoints, projects or filters that do not "
                    "overlap",
                )


def same_use(warehouse: Warehouse, connections: Sequence[Connection], days: Window = ALWAYS) -> Iterator[SameUse]:
    """Yield the pairs that hold the same organization on these days, configured or only stored, but those that ask for
    different parts of it. Raises WarehouseError."""
    configured = {connection.name: connection for connection in connections}
    tables = set(warehouse.read(STORED)["name"].to_pylist())
    ids = " union ".join(
        f"select '{table}' as table_name, '{kind}' as kind, connection, "
        f"unnest(string_split({column}, ', ')) as id from {table}"
        for (table, column), kind in IDS.items()
        if table in tables
    )
    if not ids:
        return
    for row in warehouse.read(f"with ids as ({ids}) {SAME_DAYS}", {"first": days.first, "last": days.last}).to_pylist():
        one, other = configured.get(row["one"]), configured.get(row["other"])
        if not (one and other) or _asked_by_both(one, other):
            yield SameUse((row["one"], row["other"]), row["table_name"], row["id"], row["days"])


def billed_by_both(warehouse: Warehouse, days: Window = ALWAYS) -> Iterator[BilledByBoth]:
    """Yield the connections whose bill others hold, too, or may. Raises WarehouseError."""
    if warehouse.read(HAS_VIEW, {"name": "ledger.superseded_days"}).num_rows:
        found = warehouse.read(BILLED_BY_BOTH, {"first": days.first, "last": days.last})
        yield from (BilledByBoth(**row) for row in found.to_pylist())


def _account(connection: Connection) -> tuple[str, ...] | None:
    """Return what is equal only for connections of one account; None where nobody can tell.

    A key may be one of several organizations (OpenAI), but never without a header that names which.
    """
    provider = PROVIDERS[connection.provider]
    who: list[str | None] = [connection.key.get_secret_value() if connection.key else None]
    if connection.key_reference is None:
        who = []
    elif needed := provider.needed_ids(connection.ids):
        who = [f"{name} {connection.ids[name]}" if name in connection.ids else None for name in needed]
    organization = connection.ids.get("organization", "") if "organization" in provider.scope_headers else ""
    address = connection.base_url.rstrip("/").casefold()
    known = [each for each in who if each]
    return (provider.name, address, *known, organization) if len(known) == len(who) else None


def _asked_by_both(one: Connection, other: Connection) -> Sequence[Endpoint]:
    """Return the endpoints that both ask, of one provider and one account, and whose answers may share rows.

    A report that costs nothing and cannot be narrowed down is no reason to refuse two connections that share no cost.
    """
    if len({each.ids["project"] for each in (one, other) if "project" in each.ids}) > 1:
        return []
    provider = PROVIDERS[one.provider]
    others, is_narrowed = endpoints_of(provider, other), bool(one.filters or other.filters)
    return [
        endpoint
        for endpoint in endpoints_of(provider, one)
        if endpoint in others
        and not _is_disjoint(one, other, endpoint)
        and (costs_of([endpoint.row.table]) or not is_narrowed)
    ]


def _is_disjoint(one: Connection, other: Connection, endpoint: Endpoint) -> bool:
    mine, theirs = filters_of(endpoint, one), filters_of(endpoint, other)
    return any({*mine[name]}.isdisjoint(theirs[name]) for name in mine.keys() & theirs.keys())


def _is_part(one: Connection, other: Connection, endpoint: Endpoint) -> bool:
    """Whether one's answer is narrowed down by nothing that the other's is not, or the reverse."""
    mine, theirs = filters_of(endpoint, one).keys(), filters_of(endpoint, other).keys()
    return mine <= theirs or theirs <= mine
