-- title: Billed, but not in costs
-- short: {connection}, {product}: {amount:currency} left out
-- note: Some bills also have products that are not AI. A product that this release does not know may be AI. The 50 largest are named.
--   A commitment may be left out while the use that it covers is taken: effective spreads it over that use, where all charges state it.
with products as (
  select
    connection,
    product,
    currency,
    reason,
    count(distinct usage_date) as days,
    sum(amount) as amount,
    if(count(effective_amount) = count(*), sum(effective_amount), null) as effective
  from costs.left_out
  where usage_date between $first and $last
  group by all
  having sum(amount) <> 0 or sum(effective_amount) <> 0
)
select
  connection,
  if(rank <= 50, product, 'other products') as product,
  max(days) as days,
  currency,
  sum(amount)::decimal(38, 24) as amount,
  if(count(effective) = count(*), sum(effective), null)::decimal(38, 24) as effective,
  reason as why
from (select *, row_number() over (order by abs(amount) desc, connection, product, reason) as rank from products)
group by all
order by why, amount desc, connection, product
