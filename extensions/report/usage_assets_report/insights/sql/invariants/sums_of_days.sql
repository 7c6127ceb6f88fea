-- holds: What is expected of a month is the sum of its days: what is forecast of each, or else what is stored. Each may be rounded to a
--   cent
-- of: costs.forecast_totals
with
days as (
  select kind, id, month, unnest(generate_series(month, last_day(month), interval 1 day))::date as day
  from forecast_totals
  where expected is not null
),
of_days as (
  select kind, id, month, day, coalesce(sum(amount), 0) as stored_amount
  from days
  left join stored
    on unit = 'USD'
    and usage_date = day
    and (kind = 'all' or id = case kind when 'connection' then connection when 'team' then team end)
  group by all
),
summed as (
  select
    of_days.kind,
    of_days.id,
    month,
    sum(coalesce(forecast.expected, stored_amount)) as amount,
    0.005 * count(forecast.expected) as tolerated
  from of_days
  left join forecast
    on forecast.kind = of_days.kind
    and forecast.id = of_days.id
    and usage_date = day
  group by all
)
select
  format(
    '{}, {}: ${:,.2f} is expected, and its days add up to ${:,.2f}',
    if(kind = 'all', 'everything', kind || ' ' || id),
    strftime(month, '%B %Y'),
    expected::double,
    amount::double
  )
from forecast_totals
join summed using (kind, id, month)
where abs(expected - amount) > tolerated
order by all
