-- the rows of a source (native) with what they are worth in dollars: the only place where cents, credits and other
-- currencies become dollars. What nobody has stated a rate for has no value, and a reason instead. A dimension that a
-- source does not select is null
select
  costs.*,
  coalesce(credit_rates.usd_per_credit, exchange_rates.usd) as usd_rate,
  coalesce(credit_rates.source, exchange_rates.source) as usd_rate_source,
  in_dollars(native_amount, native_unit, usd_per_credit, exchange_rates.usd, minor_unit) as amount_usd,
  if(
    effective_amount is not null,
    in_dollars(effective_amount, native_unit, usd_per_credit, exchange_rates.usd, minor_unit),
    null
  ) as effective_usd,
  case
    when amount_usd is not null then null
    when native_unit = 'credits'
      then 'no credit rate is configured for workspace ' || coalesce(costs.workspace_id, '?')
    when costs.currency is null then 'the provider states no currency'
    else 'no exchange rate is configured for ' || costs.currency
  end as usd_reason
from (
  from native
  union all by name
  select model, usage_type, project_id, workspace_id, user_id, api_key_id, api_key_name, line_item, cost_type, token_type,
    service_tier, context_window, inference_geo, charge_frequency, charge_category, costs_stated, effective_amount,
    contracted_amount, list_amount
  from costs.daily_costs
  where false
) as costs
left join accounting.credit_rates
  on native_unit = 'credits'
  and credit_rates.workspace_id = costs.workspace_id
  and costs.usage_date between credit_rates.valid_from and coalesce(credit_rates.valid_until, date '9999-12-31')
left join accounting.exchange_rates
  on native_unit in ('major units', 'minor units')
  and exchange_rates.currency = costs.currency
  and costs.usage_date between exchange_rates.valid_from and coalesce(exchange_rates.valid_until, date '9999-12-31')
-- a narrow decimal: to cast a wide one takes 8 microseconds a row
left join (select currency, minor_unit::decimal(5, 4) as minor_unit from accounting.currencies) as currencies
  on currencies.currency = costs.currency
