-- who bills each day
select days.connection, usage_date, 'billing connection' as input, coalesce(superseded_by, connection) as value
from days
left join ledger.superseded_days using (connection, usage_date)
