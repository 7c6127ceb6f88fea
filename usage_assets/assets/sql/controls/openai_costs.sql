-- costs as grouped equal costs as asked for without any grouping, per currency (within the provider's own arithmetic:
-- it adds up doubles, in another order for each question); days from before there were control totals are left out
select
  connection,
  usage_date,
  'amount_value in ' || coalesce(currency, 'no currency') as total,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    upper(amount_currency) as currency,
    0 as expected,
    amount_value as found,
    1 as grouped_rows
  from openai.costs
  union all
  select
    connection,
    usage_date,
    upper(amount_currency) as currency,
    amount_value as expected,
    0 as found,
    0 as grouped_rows
  from openai.costs_control
)
semi join (from ledger.stored_days where table_name = 'openai.costs_control') using (connection, usage_date)
group by connection, usage_date, currency
having abs(sum(expected) - sum(found)) > greatest(sum(grouped_rows), 1) * 0.000000000001
