-- title: What could be saved a month
-- short: {saving}, {what}: {usd_a_month} a month, ({usd_now} less {usd_instead}) × 30 / {days#day}
-- note: Each row alone, at public list prices: never add rows, because one saving takes from another. Idle seats cost their price.
--   A cheaper model is a bound: the next cheaper one in use for all of the tokens, whatever its quality. Batch is a bound, too: all
--   tokens of the standard tier, as if none were urgent. Cache misses: as if every day read as large a share of the input from the cache
--   as the best tenth of the days did. USD a month is (USD now - USD instead) × 30 / days, rounded down to 6 places: a day that cannot
--   be compared saves nothing. Savings below a dollar are left out.
with
priced_days as (
{priced_days}
),
what_ifs as (
{what_ifs}
),
days as (
  select *, $last::date - $first::date + 1 as days
  from priced_days
  where usage_date between $first and $last
),
shares as (
  select provider, model, quantile_disc(share, 0.9) as best_share
  from (
    select provider, model, round(sum(cached_input_tokens) / nullif(sum(input_tokens), 0), 4)::decimal(5, 4) as share
    from days
    where has_cache
    group by provider, model, usage_date
  )
  group by all
),
misses as (
  select
    *,
    least(greatest(best_share * input_tokens - cached_input_tokens, 0), missed_tokens)::decimal(22, 4) as moved_tokens
  from days
  join shares using (provider, model)
  where has_cache and missed_tokens >= 0
),
found as (
  select 'idle seats' as saving, connection as what, sum(price_usd) as usd_now, 0 as usd_instead, 30 as days
  from costs.seats($last)
  where state = 'idle'
  group by connection
  union all
  select
    if(starts_with(instead, model || ','), 'what if', 'cheaper model'),
    model || ' to ' || instead,
    usd_list,
    usd_list_instead,
    $last::date - $first::date + 1
  from what_ifs
  where usd_change < 0
  union all
  select 'batch', model, sum(usd_list), sum(usd_batch), any_value(days)
  from days
  where usd_list is not null and usd_batch is not null
  group by model
  union all
  select
    'cache misses',
    model,
    sum(0.000001 * missed_tokens * usd_input),
    sum(0.000001 * (missed_tokens * usd_input - moved_tokens * (usd_input - usd_cached))),
    any_value(days)
  from misses
  where usd_input is not null and usd_cached is not null
  group by model
)
select
  saving,
  what,
  ((usd_now - usd_instead)::decimal(28, 6) * 30000000)::hugeint // days * 0.000001 as usd_a_month,
  usd_now::decimal(38, 12) as usd_now,
  usd_instead::decimal(38, 12) as usd_instead,
  days
from found
where usd_now - usd_instead >= 1 and usd_a_month >= 1
order by usd_a_month desc, saving, what
