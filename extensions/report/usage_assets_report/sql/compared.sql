-- title: Days that are compared
-- short: {connection}: {days#day} {compared}, {usd} billed
-- note: A day is compared with its counterpart in the period before: the first with the first. Both must be stored whole, and each amount
--   must have a value in USD. A connection that is not configured any more costs nothing after its last day; billed_from and
--   billed_until of a [[connection]] say that it costs nothing before or after. What is not compared is in no difference but one of a
--   name of its own.
with
billed as (
{billed}
)
select
  connection,
  case comparison
    when 'more_days' then 'no such day before'
    when 'fewer_days' then 'no such day now'
    when 'not_known_before' then 'not known before'
    when 'not_known_now' then 'not known now'
    else 'compared'
  end as compared,
  count(distinct usage_date) filter (where usage_date >= $first) as days,
  count(distinct usage_date) filter (where usage_date < $first) as days_before,
  coalesce(sum(dollars) filter (where usage_date >= $first), 0) as usd,
  coalesce(sum(dollars) filter (where usage_date < $first), 0) as usd_before
from (
  select connection, usage_date, comparison, 0::decimal(38, 24) as dollars
  from costs.compared_days($first, $last, $before_first, $before_same)
  where is_valued
  union all
  select connection, usage_date, comparison, dollars
  from billed
  where usage_date <= $before_same or usage_date >= $first
)
group by connection, compared
having max(abs(dollars)) > 0
order by compared <> 'compared', abs(usd - usd_before) desc, connection, compared
