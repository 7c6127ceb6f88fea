-- the largest of each {dimension}, and all others as one row
with
billed as (
{billed}
),
names as (
{names}
)
select
  if(rank <= {most}, label, '{others}') as {dimension},
  count(distinct label)::integer as count,
  coalesce(sum(dollars), 0) as usd,
  coalesce(sum(dollars_same_days_before), 0) as usd_same_days_before,
  coalesce(sum(dollars_not_compared), 0) as usd_not_compared,
  -- unknown where nothing is compared
  if(
    usd_not_compared <> 0 and usd = usd_not_compared and usd_same_days_before = 0,
    null,
    usd - usd_not_compared - usd_same_days_before
  ) as usd_change
from names
group by 1
having usd <> 0 or usd_same_days_before <> 0
order by min(rank) > {most}, usd desc, 1
