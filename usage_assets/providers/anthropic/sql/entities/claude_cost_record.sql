-- one row per connection and day that was fetched, also an empty one; in whole units of its currency, dollars
-- (another currency has its own row, `<day>-cost-<currency>`: currencies are never added)
with
days as (
  select connection, usage_date
  from ledger.stored_days
  where table_name = 'anthropic.cost_report'
),
amounts as (
  select
    connection,
    usage_date,
    upper(cost_report.currency) as currency,
    major_units(sum(amount_cents), any_value(minor_unit)) as amount
  from anthropic.cost_report
  left join accounting.currencies on currencies.currency = upper(cost_report.currency)
  group by connection, usage_date, upper(cost_report.currency)
  union all
  select connection, usage_date, 'USD' as currency, 0 as amount
  from days
)
select
  connection,
  usage_date,
  port_identifier(
    connection,
    usage_date || '-cost' || case when currency = 'USD' then '' else '-' || currency end
  ) as identifier,
  'Claude Cost - ' || usage_date || case when currency = 'USD' then '' else ' (' || currency || ')' end as title,
  usage_date || 'T00:00:00Z' as record_date,
  sum(amount) as amount,
  currency
from amounts
group by connection, usage_date, currency
