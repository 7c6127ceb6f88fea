-- Start of the newest day (UTC) whose costs are stored
select connection, epoch(max(usage_date)) as value
from ledger.stored_days
where table_name = 'costs.daily_costs'
group by all
order by all
