"""Owners that own nothing: entries of the connections file whose id is in no cost, a mistyped one for example."""

from collections.abc import Sequence

import pyarrow as pa

from usage_assets.accounting import Accounting, Owner, OwnerRow
from usage_assets.warehouse.database import Warehouse

VIEW = "from duckdb_views() where schema_name = 'costs' and view_name = 'allocated_costs_named'"
UNUSED = """
with used as (
  select distinct
    connection,
    usage_date,
    unnest([
      {'kind': 'api_key', 'id': coalesce(api_key_id, api_key_name)},
      {'kind': 'user', 'id': user_id},
      {'kind': 'project', 'id': project_id},
      {'kind': 'workspace', 'id': workspace_id}
    ], recursive := true)
  from costs.allocated_costs_named
)
select position
from owners
join used
  on coalesce(owners.connection, used.connection) = used.connection
  and used.usage_date between owners.valid_from and coalesce(owners.valid_until, date '9999-12-31')
group by position
having not bool_or((used.kind, used.id) = (owners.kind, owners.id))
order by position
"""


def owners_of_nothing(warehouse: Warehouse, accounting: Accounting) -> Sequence[Owner]:
    """Return the owners whose id is in no stored cost of their days, where any cost of these days is stored.

    An owner counts as used where another one decides. Raises WarehouseError.
    """
    if not accounting.owners:
        return []
    owners = accounting.tables()[OwnerRow]
    with warehouse.get_connection() as database:
        if not database.execute(VIEW).fetchone():
            return []
        database.register("owners", owners.append_column("position", pa.array(range(len(owners)), pa.int64())))
        positions = database.execute(UNUSED).fetchall()
    return [accounting.owners[position] for (position,) in positions]
