-- late days that were not stored since they were asked for
-- reads: ledger.late_days, ledger.stored_days
-- columns: ledger.late_days
create or replace view ledger.awaited_days as
select late_days.*
from ledger.late_days
left join ledger.stored_days using (connection, table_name, slice, usage_date)
where (written_at > asked_at) is not true
