"""Finds ``[[owner]]`` entries that own nothing: their id appears in no stored cost. It may be mistyped, for example."""

from collections.abc import Sequence

import pyarrow as pa

from usage_assets.config.accounting import Accounting, Owner, OwnerRow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.views import HAS_VIEW

UNUSED = """
with ids as (
  select distinct
    connection,
    usage_date,
    coalesce(api_key_id, api_key_name) as api_key,
    user_id,
    project_id,
    workspace_id
  from costs.allocated_costs_named
)
select position
from owners
join ids
  on coalesce(owners.connection, ids.connection) = ids.connection
  and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
group by position
having not coalesce(
  bool_or(
    id = case kind
      when 'api_key' then api_key
      when 'user' then user_id
      when 'project' then project_id
      when 'workspace' then workspace_id
    end
  ),
  false
)
order by position
"""


def owners_of_nothing(warehouse: Warehouse, accounting: Accounting) -> Sequence[Owner]:
    """Return the owners whose id is in no stored cost of their days, where any cost of these days is stored.

    An owner also counts as used if another one takes precedence. Raises WarehouseError.
    """
    if not accounting.owners:
        return []
    owners = accounting.tables()[OwnerRow]
    with warehouse.get_connection() as database:
        if not database.execute(HAS_VIEW, {"name": "costs.allocated_costs_named"}).fetchone():
            return []
        database.register("owners", owners.append_column("position", pa.array(range(len(owners)), pa.int64())))
        positions = database.execute(UNUSED).fetchall()
    return [accounting.owners[position] for (position,) in positions]
