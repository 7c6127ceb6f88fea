-- a day's bill is attributed to API keys and persons as far as the 28 days before it were, give or take 5 % of the bill
-- (each kind of cost is compared with itself: one that never names anybody is no news. A refund counts as what it gives back;
-- only the newest 28 stored days are looked at, because older ones are no news)
-- says: {found} of {expected} billed and refunded has a known API key or person: {percent} %, and {usual_percent} % is usual
-- do: Select the day's rows of costs.allocated_costs where allocation is 'unattributed': the usage report that should name
--   their user is off, filtered or incomplete
-- settled: sources
with days as (
  select
    connection,
    usage_date,
    native_unit,
    currency,
    cost_type,
    usage_type,
    sum(abs(native_amount)) as size,
    coalesce(sum(abs(native_amount)) filter (where allocation <> 'unattributed'), 0) as attributed_size
  from costs.allocated_costs
  where connection = $connection and usage_date between $first::date - 28 and $last
  group by all
),
compared as (
  select
    *,
    size::double * (sum(attributed_size) over before / nullif(sum(size) over before, 0)) as usual_size
  from days
  window before as (
    partition by native_unit, currency, cost_type, usage_type
    order by usage_date
    range between interval 28 days preceding and interval 1 day preceding
  )
)
select
  connection,
  usage_date,
  concat_ws(' ', currency, native_unit) as unit,
  sum(size) as expected,
  sum(attributed_size) as found,
  round(100 * (sum(attributed_size) / sum(size)), 1)::decimal(4, 1)::text as percent,
  round(100 * sum(coalesce(usual_size, attributed_size::double)) / sum(size)::double, 1)::decimal(4, 1)::text as usual_percent
from compared
where usage_date > (select max(usage_date) - 28 from costs.allocated_costs where connection = $connection)
group by connection, usage_date, native_unit, currency
having sum(attributed_size) < sum(coalesce(usual_size, attributed_size::double)) - 0.05 * sum(size)::double
