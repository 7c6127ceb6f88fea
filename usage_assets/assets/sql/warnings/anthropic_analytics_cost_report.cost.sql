-- each day costs in the Claude Enterprise report what it costs in Usage and Cost Analytics, per currency
-- (within a millionth of a cent a row: amounts are text of as many places as Anthropic likes, and the two reports cut a
-- day into other parts)
select
  getvariable('connection') as connection,
  usage_date,
  concat(
    'amount_cents in ', currency, ' (difference to anthropic_analytics.cost of ', getvariable('compared_with'), ': ',
    sum(found) - sum(expected), ')'
  ) as total,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    usage_date,
    upper(currency) as currency,
    0 as expected,
    amount_cents as found
  from anthropic_analytics.cost_report
  where connection = getvariable('connection')
  union all
  select
    usage_date,
    upper(currency) as currency,
    amount_cents as expected,
    0 as found
  from anthropic_analytics.cost
  where connection = getvariable('compared_with')
)
group by usage_date, currency
having abs(sum(found) - sum(expected)) > count(*) * 0.000001
