-- {table} by key: the sums that were stored with each day; of a day that an earlier release wrote, its rows, summed
-- reads: {table}, {table}_sums, ledger.stored_days
-- columns: {table}_sums
-- column amount_usd: The dollars that are known; null: of no row. See rows_of_unknown_value [USD; cost_basis]
create or replace view {table}_by_key as
with
unsummed as (
  from {table}
  semi join (
{unsummed}
  ) using (connection, usage_date, source_table)
)
from {table}_sums
anti join (
{unsummed}
) using (connection, usage_date, source_table)
union all by name
{by_key};

comment on view {table}_by_key is
  'One row per connection, day, source, cost basis, unit, currency, project, workspace, user and API key: what the rows of {table} add up to'
