-- title: Seat or usage: break-even
-- short: {person}: {usd_notional} of use, {usd_seat} of seat
-- note: Notional use is what the provider says that a person's use would have cost without the seat. Both are of the days on which the
--   person is known to have the seat: it is listed, or before the first look at the list, it was assigned, or the person was reported
--   before. On other days before the first look, nobody knows. A day has its part of the month's price, and of the rate on that day. A
--   negative difference means that usage would have cost less. Rounded half up to 6 decimal places.
with
days as (
  select distinct connection, usage_date
  from ledger.stored_days
  where table_name = 'costs.daily_costs' and usage_date between $first and $last
),
used as materialized (
  select
    connection,
    person_id,
    any_value(person_name) as person_name,
    usage_date,
    coalesce(sum(amount_usd), 0) as notional,
    any_value(currency) filter (where rows_of_unknown_value > 0) as currency_without_rate
  from costs.allocated_costs_by_key_of_people
  where cost_basis = 'notional' and actor_kind = 'person' and usage_date between $first and $last
  group by all
),
named as (
  select connection, lower(id) as key, min(person_id) as person_id, min(person_name) as person_name
  from costs.people
  group by all
),
listed as materialized (
  select
    listed.*,
    coalesce(person_id, provider || ':' || id) as person_id,
    coalesce(person_name, id) as person_name,
    min(listed_from) over (partition by listed.connection) as first_look
  from costs.listed_seats as listed
  left join named on named.connection = listed.connection and named.key = lower(listed.id)
),
reported as (
  select connection, person_id, any_value(person_name) as person_name, min(usage_date) as reported_from
  from (
    select connection, person_id, person_name, usage_date
    from used
    union all by name
    select use.connection, coalesce(person_id, provider || ':' || id) as person_id, coalesce(person_name, id) as person_name, usage_date
    from costs.seat_use as use
    left join named on named.connection = use.connection and named.key = lower(use.id)
    where id is not null and usage_date <= $last
  )
  group by all
),
people as (
  select connection, person_id, any_value(person_name) as person_name
  from (
    select connection, person_id, person_name
    from used
    union all by name
    -- as the look of the next morning found them
    select connection, person_id, person_name
    from listed
    where listed_from <= $last::date + 1 and coalesce(listed_until > $first, true)
  )
  where connection in (select connection from used)
  group by all
),
first_plans as (
  select connection, person_id, arg_min(plan, listed_from) as plan, min(assigned_on) as assigned_on, any_value(first_look) as first_look
  from listed
  group by all
),
seat_days as (
  select
    people.connection,
    people.person_id,
    days.usage_date,
    listed.connection is not null as is_listed,
    if(is_listed, listed.plan, first_plans.plan) as plan,
    coalesce(days.usage_date < first_plans.first_look - 1, true) as is_before_list,
    is_listed or is_before_list and coalesce(days.usage_date >= first_plans.assigned_on, false)
      or is_before_list and coalesce(days.usage_date >= reported_from, false) as has_seat
  from people
  join days using (connection)
  left join first_plans using (connection, person_id)
  left join reported using (connection, person_id)
  left join listed
    on listed.connection = people.connection
    and listed.person_id = people.person_id
    and listed.listed_from <= days.usage_date + 1
    and coalesce(listed.listed_until > days.usage_date, true)
  qualify row_number() over (partition by people.connection, people.person_id, days.usage_date order by listed.listed_from desc nulls last) = 1
),
priced as (
  select
    seats.connection,
    person_id,
    seats.plan,
    usage_date,
    price,
    prices.currency,
    included,
    (price::decimal(24, 10) * if(prices.currency = 'USD', 1, usd)::decimal(11, 10))::decimal(38, 20) as price_usd
  from (from seat_days where has_seat) as seats
  left join costs.seat_prices as prices
    on prices.connection = seats.connection
    and coalesce(prices.plan = seats.plan, prices.plan is null)
    and usage_date between prices.valid_from and coalesce(prices.valid_until, date '9999-12-31')
    and price is not null
  left join accounting.exchange_rates as rates
    on rates.currency = prices.currency
    and usage_date between rates.valid_from and coalesce(rates.valid_until, date '9999-12-31')
  qualify row_number() over (
    partition by seats.connection, person_id, usage_date
    order by prices.source = 'accounting.seats', prices.plan is null
  ) = 1
),
-- integers: the price has 20 decimal places, its quotient 6
parts as (
  select
    connection,
    person_id,
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
  group by connection, person_id, date_trunc('month', usage_date), last_day(usage_date), price_usd
),
costs as (
  select
    connection,
    person_id,
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
),
known as (
  select
    seat_days.connection,
    seat_days.person_id,
    count(*) filter (where not has_seat and is_before_list) as days_not_known,
    if(
      count(currency_without_rate) filter (where has_seat) = 0,
      coalesce(sum(notional) filter (where has_seat), 0),
      null
    ) as notional,
    any_value(currency_without_rate) filter (where has_seat) as currency_without_rate
  from seat_days
  left join used using (connection, person_id, usage_date)
  group by all
)
select
  people.person_name as person,
  people.connection,
  notional as usd_notional,
  usd_seat,
  usd_notional - usd_seat as usd_difference,
  coalesce(days, 0) as days,
  days_not_known,
  $last::date - $first::date + 1 as days_in_period,
  price_a_month,
  currency,
  included_a_month,
  coalesce(
    'no exchange rate is configured for ' || currency_without_rate,
    if(days is null, 'nobody knows of a seat on these days', null),
    why_unknown
  ) as why_unknown
from people
join known using (connection, person_id)
left join costs using (connection, person_id)
union all by name
select distinct connection, $last::date - $first::date + 1 as days_in_period, 'no notional use is stored' as why_unknown
from costs.seats($last)
where connection not in (select connection from used)
order by usd_difference nulls last, connection, person
