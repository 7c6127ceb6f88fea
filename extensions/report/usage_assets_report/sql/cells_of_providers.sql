-- dollars of each item in the period before and in the period, per provider: a price is one provider's
select
  provider,
  item,
  coalesce(sum(usd_before), 0),
  coalesce(sum(usd_now), 0)
from temp.main.splits
group by all
