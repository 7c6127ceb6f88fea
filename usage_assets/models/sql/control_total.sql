-- costs as grouped equal costs as asked for without any grouping, per currency (within the provider's own arithmetic:
-- it adds up doubles, in another order for each question); days from before there were control totals are left out
-- says: the rows add up to {{found}}, and the provider's total of the day is {{expected}} ({{difference}} apart)
-- do: Fetch the day again: usage-assets backfill --connection {connection} --start {day} --end {day}
select
  connection,
  usage_date,
  concat_ws(' ', code, if('{amount}' like '%cents', 'minor units', null)) as unit,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    upper({currency}) as code,
    0 as expected,
    {amount} as found,
    1 as grouped_rows
  from {rows}
  union all
  select
    connection,
    usage_date,
    upper({currency}) as code,
    {amount} as expected,
    0 as found,
    0 as grouped_rows
  from {totals}
)
semi join (from ledger.stored_days where table_name = '{totals}') using (connection, usage_date)
group by connection, usage_date, code
having abs(sum(expected) - sum(found)) > greatest(sum(grouped_rows), 1) * {tolerance}
