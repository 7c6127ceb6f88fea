-- every cost that counts, once for each unit that it counts in. USD: billed, valued in USD, which is what is billed in dollars, and in
-- other currencies with a rate on their day. Another currency: what is billed in it, with a rate or without. Credits: credits. This is
-- the one definition of these sums: reports, forecasts, anomalies, budgets, guardrails and Port read it
-- reads: costs.allocated_costs_named, models.names_in_costs
-- columns: costs.allocated_costs_named, models.names_in_costs, costs.daily_costs
-- column counted_in: Unit in which the row counts: USD (sum amount_usd), another currency or credits (sum native_amount). Keep one
-- column amount_usd: The dollars of the amount; null where unknown [USD; cost_basis; within counted_in]
-- column native_amount: Amount as the provider states it [native_unit; cost_basis; within currency, counted_in]
-- column costs.rates_used.rate: Dollars of a unit of the currency [USD; price]
-- column costs.rates_used.source: Source of the rate, as in the connections file
-- column costs.rates_used.valid_from: First day of the rate; null: it is in the connections file no more
create or replace view costs.counted_costs as
with
costs as (
  select costs.*, names.family, names.variant
  from costs.allocated_costs_named as costs
  left join models.names_in_costs as names
    on names.provider = costs.provider
    and names.model = costs.model
)
select *, 'USD' as counted_in
from costs
where cost_basis = 'billed' and amount_usd is not null
union all by name
select *, currency as counted_in
from costs
where cost_basis = 'billed' and currency <> 'USD'
union all by name
select *, 'credits' as counted_in
from costs
where cost_basis = 'credits';

comment on view costs.counted_costs is
  'Every cost once for each unit that it counts in: keep one. USD (billed, valued in USD: sum amount_usd), another currency or credits (sum native_amount)';

-- the exchange rates with which billed amounts were valued in USD
-- reads: costs.daily_costs, accounting.exchange_rates
create or replace view costs.rates_used as
select
  connection,
  usage_date,
  source_table,
  used.currency,
  rate,
  used.source,
  valid_from
from (
  select distinct connection, usage_date, source_table, currency, usd_rate as rate, usd_rate_source as source
  from costs.daily_costs
  where cost_basis = 'billed' and usd_rate is not null
) as used
left join accounting.exchange_rates
  on exchange_rates.currency = used.currency
  and exchange_rates.usd = rate
  and exchange_rates.source = used.source
  and usage_date between valid_from and coalesce(valid_until, date '9999-12-31');

comment on view costs.rates_used is
  'One row per connection, day, source of costs and currency: the exchange rate with which billed amounts were valued in USD'
