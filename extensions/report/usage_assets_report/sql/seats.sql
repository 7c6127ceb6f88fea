-- title: Seats
-- short: {connection}[, {plan}]: [{seats#seat}|seats unknown][ at {price_a_month:currency} a month],
--   [{idle#idle seat}|idle seats unknown][ ({usd_idle_a_month})]
-- note: At the end of the last day. Idle: no activity for more than 30 days, by the provider's own date, or 30 stored days without any.
--   Ending: cancelled already. Prices are per seat and month: the bill's, or those of [[seat]]. "Why unknown" says what is missing. GitHub
--   pools what its seats include: a removed seat also takes its part ("included a month", of [[seat]]) from the pool. Cursor and
--   GitHub list people, Claude only counts them, and ChatGPT does neither: state count in a [[seat]].
select
  connection,
  plan,
  if(bool_or(seats is null), null, sum(seats))::bigint as seats,
  any_value(seats_paid) as paid,
  coalesce(sum(seats) filter (where state = 'active'), 0)::bigint as active,
  if(
    bool_or(state = 'unknown') and not bool_or(state = 'idle'),
    null,
    coalesce(sum(seats) filter (where state = 'idle'), 0)
  )::bigint as idle,
  coalesce(sum(seats) filter (where state = 'ending'), 0)::bigint as ending,
  if(bool_or(seats is null), null, coalesce(sum(seats) filter (where state = 'unknown'), 0))::bigint as unknown,
  price as price_a_month,
  currency,
  included as included_a_month,
  if(idle is null, null, (price::decimal(24, 10) * idle::decimal(10, 0))::decimal(38, 10)) as idle_a_month,
  if(idle is null, null, (price_usd::decimal(28, 20) * idle::decimal(10, 0))::decimal(38, 20)) as usd_idle_a_month,
  nullif(usd_rate, 1) as rate,
  nullif(concat_ws('; ', string_agg(distinct reason, '; ' order by reason) filter (where state = 'unknown'), price_reason), '')
    as why_unknown
from costs.seats($last)
group by connection, plan, price, currency, included, usd_rate, price_usd, price_reason
order by usd_idle_a_month desc nulls last, idle desc nulls last, price is null, connection, plan
