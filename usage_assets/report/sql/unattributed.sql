-- title: Billed, but nobody's
-- note: No usage report says who used it.
select
  connection,
  sum(amount_usd) as usd,
  sum(amount_usd) filter (where actor_kind = 'unknown') as usd_without_actor,
  sum(amount_usd) filter (where team = 'unowned') as usd_without_team
from costs.allocated_costs_named
where cost_basis = 'billed' and usage_date between $first and $last
group by all
order by all
