-- one row per entry and cost center that shares costs
select
  position,
  name,
  rule,
  cost_center,
  weight
from accounting.shared_costs
order by position, cost_center
