-- costs as grouped equal costs as asked for without any grouping, per currency (within the provider's own arithmetic:
-- it adds up doubles, in another order for each question); days from before there were control totals are left out
select
  connection,
  usage_date,
  '{amount} in ' || coalesce(code, 'no currency') as total,
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
