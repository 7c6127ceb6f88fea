-- Days that a check found wrong when it last looked at them
select connection, check_name as "check", severity, count(distinct usage_date) as value
from ledger.failed_checks
group by all
order by all
