-- title: Usage, seats and fees
-- short: {provider}, {charge}: {usd} billed
-- note: Seats and purchases are charged whether or not they are used. Taxes, credits, adjustments and refunds of purchases are
--   other charges.
with
billed as (
{billed}
),
sums as (
  select
    kind,
    provider,
    coalesce(sum(dollars) filter (where usage_date >= $first), 0) as usd,
    coalesce(sum(dollars) filter (where usage_date <= $before_same and comparison is null), 0) as usd_same_days_before,
    coalesce(sum(dollars) filter (where usage_date >= $first and comparison is not null), 0) as usd_not_compared
  from billed
  group by all
)
select
  kind as charge,
  provider,
  usd,
  usd_same_days_before,
  usd_not_compared,
  -- unknown where nothing is compared
  if(
    usd_not_compared <> 0 and usd = usd_not_compared and usd_same_days_before = 0,
    null,
    usd - usd_not_compared - usd_same_days_before
  ) as usd_change
from sums
where usd <> 0 or usd_same_days_before <> 0
order by kind <> 'usage', usd desc, provider
