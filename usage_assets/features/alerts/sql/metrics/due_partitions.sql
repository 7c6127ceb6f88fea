-- Days that must be fetched, computed or pushed (missing, stale, late, withdrawn, unpushed), or may still change
select connection, state, count(distinct usage_date) as value
from ledger.due_days
group by all
order by all
