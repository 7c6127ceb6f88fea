-- a day's bill is attributed to API keys and persons as far as the 28 days before it were, give or take 5 % of the bill
-- (a refund counts as what it gives back; only the newest 28 stored days are looked at, because older ones are no news)
with days as (
  select
    connection,
    usage_date,
    native_unit,
    currency,
    sum(native_amount) as billed,
    coalesce(sum(native_amount) filter (where allocation <> 'unattributed'), 0) as attributed,
    sum(abs(native_amount)) as size,
    coalesce(sum(abs(native_amount)) filter (where allocation <> 'unattributed'), 0) as attributed_size
  from costs.allocated_costs
  where connection = $connection and usage_date between $first::date - 28 and $last
  group by all
),
compared as (
  select
    *,
    attributed_size / nullif(size, 0) as share,
    sum(attributed_size) over before / nullif(sum(size) over before, 0) as share_before
  from days
  window before as (
    partition by native_unit, currency
    order by usage_date
    range between interval 28 days preceding and interval 1 day preceding
  )
)
select
  connection,
  usage_date,
  concat_ws(
    ' ',
    'what is attributed of the',
    native_unit,
    'billed in',
    currency,
    '(' || round(100 * share, 1) || ' %, and ' || round(100 * share_before, 1) || ' % before)'
  ) as total,
  billed as expected,
  attributed as found
from compared
where share < share_before - 0.05
  and usage_date > (select max(usage_date) - 28 from costs.allocated_costs where connection = $connection)
