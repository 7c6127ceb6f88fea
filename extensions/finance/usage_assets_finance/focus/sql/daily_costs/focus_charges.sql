-- one row per connection, day, service, sub account, model, kind of usage, region, description, frequency, category, currency and what
-- its charges state besides the bill; billed. cost_type is the service. What is left out is in no cost
select
  connection,
  'focus' as provider,
  usage_date,
  'focus.charges' as source_table,
  'billed' as cost_basis,
  sum(billed_cost) as native_amount,
  case when billing_currency = 'USD' then 'dollars' else 'major units' end as native_unit,
  billing_currency as currency,
  model,
  usage_type,
  sub_account_id as project_id,
  other_columns ->> 'x_UserId' as user_id,
  other_columns ->> 'x_ApiKeyId' as api_key_id,
  coalesce(charge_description, sku_meter) as line_item,
  coalesce(service_name, other_columns ->> 'x_SkuMeterSubcategory', other_columns ->> 'PublisherName', 'not named') as cost_type,
  case when tokens is not null then usage_type end as token_type,
  other_columns ->> 'x_ServiceTier' as service_tier,
  other_columns ->> 'x_ContextWindow' as context_window,
  coalesce(other_columns ->> 'x_InferenceGeo', region_id) as inference_geo,
  case lower(other_columns ->> 'ChargeFrequency')  -- Oracle writes Usage-based
    when 'one-time' then 'One-Time'
    when 'recurring' then 'Recurring'
    when 'usage-based' then 'Usage-Based'
    else other_columns ->> 'ChargeFrequency'
  end as charge_frequency,
  charge_category,
  nullif(
    concat_ws(
      ',',
      if(effective_cost is not null, 'effective', null),
      if(contracted_cost is not null, 'contracted', null),
      if(list_cost is not null, 'list', null)
    ),
    ''
  ) as costs_stated,
  sum(effective_cost) as effective_amount,
  sum(contracted_cost) as contracted_amount,
  sum(list_cost) as list_amount,
  '' as grouped_by
from focus.charges
where left_out_rows is null
group by
  connection,
  usage_date,
  billing_currency,
  model,
  usage_type,
  sub_account_id,
  user_id,
  api_key_id,
  line_item,
  cost_type,
  token_type,
  service_tier,
  context_window,
  inference_geo,
  charge_frequency,
  charge_category,
  costs_stated
