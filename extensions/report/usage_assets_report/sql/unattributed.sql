-- title: Unattributed spend
-- short: {connection}: {usd} billed[, {usd_without_actor} unattributed]
-- note: No usage report says who used it.
-- explain: --table costs.by_actor {days} --connection {connection} --where cost_basis=billed --column amount_usd
with billed as (
{billed}
)
select
  connection,
  sum(dollars) as usd,
  sum(dollars) filter (where not is_attributed) as usd_without_actor,
  sum(dollars) filter (where team = 'unowned') as usd_without_team
from billed
where usage_date >= $first
group by all
order by all
