-- each day costs what {other} of {connection} says, per currency
-- (within a millionth of a cent a row: amounts are text of as many places as Anthropic likes, and the two reports cut a
-- day into other parts)
-- says: {own} says {{found}}, and {other} of {connection} says {{expected}} ({{difference}} apart)
-- do: Both reports cover the same usage. Compare the day with the invoice, and ask the provider about the report that differs
-- settled: {own}, {other}
select
  $connection as connection,
  usage_date,
  concat(currency, ' minor units') as unit,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    usage_date,
    upper(currency) as currency,
    0 as expected,
    amount_cents as found
  from {own}
  where connection = $connection
  union all
  select
    usage_date,
    upper(currency) as currency,
    amount_cents as expected,
    0 as found
  from {other}
  where connection = '{connection}'
)
group by usage_date, currency
having abs(sum(found) - sum(expected)) > count(*) * 0.000001
