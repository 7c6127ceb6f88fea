-- title: Invoices against what is stored
-- short: {month}, {connection}: {invoiced:currency} invoiced[, {stored:currency} stored], {state}
-- note: The invoices of a month as the connections file states them, together. Reconciled: rounded to their digits, the stored total is
--   equal. If it differs, ask the provider.
-- explain: --table costs.by_month --month {month:%Y-%m} --connection {connection} --where cost_basis=billed --where {of_unit}
--   --column {column}
with stored as (
  select
    connection,
    date_trunc('month', usage_date)::date as month,
    coalesce(currency, native_unit) as currency,
    sum(
      case
        when currency = 'USD' then amount_usd
        when native_unit = 'minor units'
          then native_amount::decimal(33, 20) * coalesce(minor_unit, 0.01)::decimal(5, 4)
        else native_amount
      end
    ) as stored
  from costs.by_day
  left join accounting.currencies using (currency)
  semi join accounting.invoices using (connection)
  where cost_basis = 'billed'
    and usage_date between date_trunc('month', $last::date) - interval 12 months and last_day($last::date)
  group by all
)
select
  connection,
  month,
  string_agg(id, ', ' order by id) as invoice,
  currency,
  sum(total) as invoiced,
  any_value(stored) as stored,
  sum(total) - any_value(stored) as difference,
  case
    when any_value(stored) is null then 'nothing is stored'
    when abs(difference) < min(half) or difference = min(half) * sign(any_value(stored)) then 'reconciled'
    else 'differs'
  end as state
from (
  select
    *,
    0.5 * least(
      coalesce(minor_unit, 0.01),
      (0.1 ** length(rtrim(split_part(total::varchar, '.', 2), '0')))::decimal(11, 10)
    ) as half
  from accounting.invoices
  left join accounting.currencies using (currency)
)
left join stored using (connection, month, currency)
where month between date_trunc('month', $last::date) - interval 12 months and $last
group by all
order by month desc, connection
