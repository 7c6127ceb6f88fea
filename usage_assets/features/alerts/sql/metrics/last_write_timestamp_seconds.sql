-- When a day was last written or found unchanged
select connection, epoch(max(written_at)) as value
from ledger.stored_days
group by all
order by all
