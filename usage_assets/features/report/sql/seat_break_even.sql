-- title: Seat or usage: break-even
-- short: person, usd_notional, usd_seat
-- note: Notional use is what the provider says that a person's use would have cost without the seat. The seat's price is that of the
--   same days: each day has its part of the month's price, and of the rate on that day. Days are those with stored costs. A negative
--   difference means that usage would have cost less. Rounded half up to 6 decimal places.
with
seats as materialized (
  from costs.seats($last)
),
days as (
  select distinct connection, usage_date
  from ledger.stored_days
  where table_name = 'costs.daily_costs' and usage_date between $first and $last
),
used as (
  select
    connection,
    person_id,
    any_value(person_name) as person_name,
    if(sum(rows_of_unknown_value) = 0, coalesce(sum(amount_usd), 0), null) as notional,
    any_value(currency) filter (where rows_of_unknown_value > 0) as currency_without_rate
  from costs.allocated_costs_by_key_of_people
  where cost_basis = 'notional' and actor_kind = 'person' and usage_date between $first and $last
  group by all
),
people as (
  select connection, person_id, any_value(person_name) as person_name, any_value(plan) as plan
  from (
    select connection, person_id, person_name
    from used
    union all by name
    select connection, person_id, person_name, plan
    from seats
    where id is not null and connection in (select connection from used)
  )
  group by all
),
priced as (
  select
    plans.connection,
    plans.plan,
    usage_date,
    price,
    prices.currency,
    included,
    (price::decimal(24, 10) * if(prices.currency = 'USD', 1, usd)::decimal(11, 10))::decimal(38, 20) as price_usd
  from (select distinct connection, plan from people) as plans
  join days using (connection)
  left join costs.seat_prices as prices
    on prices.connection = plans.connection
    and coalesce(prices.plan = plans.plan, prices.plan is null)
    and usage_date between prices.valid_from and coalesce(prices.valid_until, date '9999-12-31')
    and price is not null
  left join accounting.exchange_rates as rates
    on rates.currency = prices.currency
    and usage_date between rates.valid_from and coalesce(rates.valid_until, date '9999-12-31')
  qualify row_number() over (
    partition by plans.connection, plans.plan, usage_date
    order by prices.source = 'accounting.seats', prices.plan is null
  ) = 1
),
-- integers: the price has 20 decimal places, its quotient 6
parts as (
  select
    connection,
    plan,
    count(*) as days,
    arg_max(price, usage_date) as price,
    arg_max(currency, usage_date) as currency,
    arg_max(included, usage_date) as included,
    count(*) filter (where price is null) as days_without_price,
    any_value(currency) filter (where price is not null and price_usd is null) as currency_without_rate,
    replace(price_usd::varchar, '.', '')::hugeint * count(*) as dividend,
    day(last_day(usage_date))::hugeint * 100000000000000 as divisor,
    ((2 * dividend + divisor) // (2 * divisor))::decimal(32, 0) * 0.000001 as usd_seat,
    max(usage_date) as until
  from priced
  group by connection, plan, date_trunc('month', usage_date), last_day(usage_date), price_usd
),
costs as (
  select
    connection,
    plan,
    sum(days)::bigint as days,
    arg_max(price, until) as price_a_month,
    arg_max(currency, until) as currency,
    arg_max(included, until) as included_a_month,
    if(count(*) = count(usd_seat), sum(usd_seat), null) as usd_seat,
    case
      when sum(days_without_price) = sum(days) then 'no price is known'
      when sum(days_without_price) > 0 then 'no price is known on ' || sum(days_without_price) || ' days'
      when any_value(currency_without_rate) is not null
        then 'no exchange rate is configured for ' || any_value(currency_without_rate)
    end as why_unknown
  from parts
  group by all
)
select
  people.person_name as person,
  people.connection,
  if(currency_without_rate is null, coalesce(notional, 0), null) as usd_notional,
  usd_seat,
  usd_notional - usd_seat as usd_difference,
  days,
  $last::date - $first::date + 1 as days_in_period,
  price_a_month,
  currency,
  included_a_month,
  coalesce('no exchange rate is configured for ' || currency_without_rate, why_unknown) as why_unknown
from people
left join used using (connection, person_id)
left join costs on costs.connection = people.connection and costs.plan is not distinct from people.plan
union all by name
select distinct connection, $last::date - $first::date + 1 as days_in_period, 'no notional use is stored' as why_unknown
from seats
where connection not in (select connection from used)
order by usd_difference nulls last, connection, person
