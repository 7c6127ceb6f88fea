-- one row per entry of shared costs, currency and cost center that pays a part in a month; one without a cost center where none does
select distinct
  entries.position,
  entries.name,
  entries.rule,
  shares.currency,
  shares.cost_center,
  shares.weight
from accounting.shared_costs as entries
left join costs.cost_shares as shares
  on shares.position = entries.position
  and shares.month = $first
order by all
