-- what each cost center pays in a month: what its teams were billed, its parts of shared costs, and both in the smallest unit of the
-- currency, rounded so that all together are the bill, rounded once (the largest remainder). Statements say the same
-- reads: costs.billed_to_share, costs.cost_shares, accounting.currencies
-- columns: costs.billed_to_share
-- column month: First day of the month, UTC
-- column cost_center: Cost center; null: what has none and is not shared
-- column own_amount: What its teams were billed, in whole units [currency; billed; within currency]
-- column shared_amount: Its parts of shared costs, to a billionth [currency; billed; within currency]
-- column total_amount: Both, rounded to the smallest unit: what its statement says [currency; billed; within currency]
create or replace view costs.by_cost_center as
with
shares as (
  from costs.cost_shares
),
amounts as (
  select
    date_trunc('month', usage_date)::date as month,
    cost_center,
    currency,
    amount as billed,
    amount as own_amount,
    0::double as shared_amount
  from costs.billed_to_share
  union all by name
  select month, null as cost_center, currency, -any_value(to_share) as own_amount
  from shares
  group by month, position, provider, connection, currency
  union all by name
  select month, cost_center, currency, to_share::double * weight::double / of_weight::double as shared_amount
  from shares
),
sums as (
  select
    month,
    cost_center,
    currency,
    coalesce(any_value(minor_unit), 0.01)::decimal(5, 4) as one,
    (1 / one)::integer as of_one,
    coalesce(sum(billed), 0) as bill,
    coalesce(sum(own_amount), 0) as own,
    coalesce(sum(shared_amount), 0) as shared,
    -- of whole units and their fraction apart: a product of both overflows from a trillion on
    (own - floor(own)) * of_one as own_part,
    floor(own) * of_one + floor(own_part) as own_ones,
    floor(shared * of_one) as shared_ones,
    -- a double has too few digits for both together, or for more than six places of millions: equal fractions would differ
    round((own_part - floor(own_part))::double + (shared * of_one - shared_ones), 6) as rest
  from amounts
  left join accounting.currencies using (currency)
  group by month, cost_center, currency
),
-- a bill is what all own amounts are: what is shared is taken from what has no cost center, and given to others
rounded as (
  select
    *,
    (own_ones + shared_ones::decimal(18, 0) + floor(rest)::integer)::decimal(18, 0) as whole,
    sum(bill) over of_bill as billed,
    trunc(billed) * of_one + round((billed - trunc(billed)) * of_one) - sum(whole) over of_bill as ones,
    row_number() over (of_bill order by round(rest - floor(rest), 6) desc, cost_center nulls first) as place
  from sums
  window of_bill as (partition by month, currency)
)
select
  month,
  cost_center,
  currency,
  own as own_amount,
  shared::decimal(38, 9)::decimal(38, 24) as shared_amount,
  ((whole + if(place <= ones, 1, 0))::decimal(18, 0) * one)::decimal(38, 24) as total_amount
from rounded;

comment on view costs.by_cost_center is
  'One row per month, cost center and currency: what it pays, of its own and of what is shared, as its statement says'
