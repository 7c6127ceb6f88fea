-- the days of {table} that an earlier release wrote, without sums
select
  connection,
  usage_date,
  slice as source_table
from ledger.stored_days
where table_name = '{table}' and has_sums is not true
