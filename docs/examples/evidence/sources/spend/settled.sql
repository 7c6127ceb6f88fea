-- up to which day nothing of a connection's reports can change any more; null: each of its stored days may
select
  connection,
  if(
    min(usage_date) filter (where state <> 'settled') = min(usage_date),
    null,
    coalesce(min(usage_date) filter (where state <> 'settled') - 1, max(usage_date))
  ) as settled_until,
  max(usage_date) as stored_until
from ledger.day_states
group by connection
order by connection
