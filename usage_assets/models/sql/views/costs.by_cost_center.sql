-- what each cost center pays in a month: what its teams were billed, its parts of shared costs, and both in the smallest unit of the
-- currency, rounded so that all together are the bill, rounded once (the largest remainder). Statements say the same
-- reads: costs.billed_to_share, costs.cost_shares, accounting.currencies
-- columns: costs.billed_to_share
-- column month: First day of the month, UTC
-- column cost_center: Cost center; null: what has none and is not shared
-- column own_amount: What its teams were billed, in whole units [currency; billed; within currency]
-- column shared_amount: Its parts of shared costs, to a billionth [currency; billed; within currency]
-- column total_amount: Both, rounded to the smallest unit: what its statement says [currency; billed; within currency]
{stored part_of}
create or replace view costs.by_cost_center as
with
-- exact shares: a double has too few digits for the cents of millions, so of equal fractions another one than the statement's
-- would be rounded up. Weights keep their first 18 digits, because units are below 2^63
weighed as (
  select
    *,
    ('1' || repeat('0', greatest(length(of_weight::varchar) - 19, 0)))::hugeint as cut,
    costs.share_of(to_share, costs.last_places(weight) // cut, costs.last_places(of_weight) // cut) as share
  from costs.cost_shares
),
amounts as (
  select
    date_trunc('month', usage_date)::date as month,
    cost_center,
    currency,
    amount as billed,
    amount as own_amount
  from costs.billed_to_share
  union all by name
  select month, null as cost_center, currency, -any_value(to_share) as own_amount
  from weighed
  group by month, position, provider, connection, currency
  union all by name
  select
    month,
    cost_center,
    currency,
    costs.of_last_places(share.sign * share.rounded) as shared_amount
  from weighed
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
    own + shared as total,
    -- of whole units and their fraction apart: a product of both overflows from a trillion on
    round((total - floor(total)) * of_one, 9) as part,
    floor(total) * of_one + floor(part) as whole,
    part - floor(part) as rest
  from amounts
  left join accounting.currencies using (currency)
  group by month, cost_center, currency
),
-- a bill is what all own amounts are: what is shared is taken from what has no cost center, and given to others
rounded as (
  select
    *,
    sum(bill) over of_bill as billed,
    trunc(billed) * of_one + round((billed - trunc(billed)) * of_one) - sum(whole) over of_bill as ones,
    row_number() over (of_bill order by rest desc, cost_center nulls first) as place
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
