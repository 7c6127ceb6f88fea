-- the days whose parts in costs.allocated_costs were not computed from the bill as it is now. Nearly all days are allocated: to look for
-- the others costs nothing where there are none
select
  connection,
  usage_date,
  slice as source_table
from (from ledger.stored_days where table_name = 'costs.daily_costs') as bills
full join (from ledger.stored_days where table_name = 'costs.allocated_costs') as parts
  using (connection, usage_date, slice)
where not coalesce(
  from_json(parts.inputs, '"MAP(VARCHAR, VARCHAR)"')['costs.daily_costs/' || slice] = bills.content_version::varchar,
  false
)
