-- one row per connection and day that was fetched, also an empty one; US dollars
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
    upper(currency) as currency,
    (sum(amount_cents) * 0.01)::decimal(38, 24) as amount
  from anthropic.cost_report
  group by connection, usage_date, upper(currency)
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
