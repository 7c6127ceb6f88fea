-- title: What each cost center pays
-- short: {month}, {cost_center}: pays {pays:currency}
-- note: Own is what its teams are billed; shared is its part of each [[shared_cost]]. Each month is whole, up to now. The rows of a month
--   and currency add up to its bill, and statements say the same.
select
  month,
  coalesce(cost_center, 'no cost center') as cost_center,
  currency,
  own_amount as own,
  shared_amount as shared,
  total_amount as pays
from costs.by_cost_center
where month between date_trunc('month', $first::date) and $last
qualify bool_or(costs.by_cost_center.cost_center is not null) over (partition by month)
order by month desc, currency <> 'USD', currency, pays desc, cost_center
