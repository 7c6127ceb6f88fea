-- one row per entry by use, cost center, currency and unit: what the cost center was billed itself on the days of the entry, by the
-- connection of the entry if it names one
select
  entries.position,
  billed.cost_center,
  billed.currency,
  billed.native_unit,
  sum(billed.amount) as amount
from (
  select distinct position, scope_type, scope_id, valid_from, valid_until
  from accounting.shared_costs
  where rule = 'by_use'
) as entries
join temp.main.billed as billed
  on billed.cost_center is not null
  and billed.usage_date between entries.valid_from and coalesce(entries.valid_until, date '9999-12-31')
  and (entries.scope_type <> 'connection' or entries.scope_id = billed.connection)
group by all
order by all
