-- credits and, where every amount has a dollar value, dollars of {table} add up to costs.daily_costs
-- says: {total}: what Port gets adds up to {found}, and costs.daily_costs to {expected}
select
  connection,
  usage_date,
  total,
  if(total = 'credits', 'credits', 'USD') as unit,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
from (
  select
    connection,
    usage_date,
    cost_basis as total,
    case when cost_basis = 'credits' then native_amount else amount_usd end as expected,
    0 as found,
    amount_usd is null and native_amount <> 0 and cost_basis <> 'credits' as is_unknown
  from costs.daily_costs
  union all by name
  select
    connection,
    usage_date,
    total,
    0 as expected,
    found
  from (
    unpivot (
      select
        connection,
        usage_date,
        billed_usd as billed,
        estimated_usd as estimated,
        notional_usd as notional,
        credits
      from {table}
    )
    on billed, estimated, notional, credits
    into name total value found
  )
)
group by connection, usage_date, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0) and not coalesce(bool_or(is_unknown), false)
