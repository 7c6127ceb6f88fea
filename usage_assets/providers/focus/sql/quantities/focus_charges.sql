-- one row per connection, day, currency, account, user, API key, line item and model: its quantity, its cost before discounts and
-- its category; none where costs have several rows of them, because nobody can tell whose the quantity is
-- reads: focus.charges
select
  'focus.charges' as source_table,
  connection,
  usage_date,
  currency,
  project_id,
  user_id,
  api_key_id,
  line_item,
  model,
  if(count(quantity) = count(*), sum(quantity), null)::decimal(38, 24) as quantity,
  nullif(regexp_extract(any_value(unit), '^[A-Z][A-Za-z]*(-[A-Z][a-z]+)?$'), '') as unit,
  if(count(list_cost) = count(*), sum(list_cost), null)::decimal(38, 24) as list_amount,
  any_value(category) as category,
  any_value(frequency) as frequency
from (
  select
    connection,
    usage_date,
    billing_currency as currency,
    sub_account_id as project_id,
    other_columns ->> 'x_UserId' as user_id,
    other_columns ->> 'x_ApiKeyId' as api_key_id,
    coalesce(charge_description, sku_meter) as line_item,
    model,
    list_cost,
    charge_category as category,
    case lower(other_columns ->> 'ChargeFrequency')  -- Oracle writes Usage-based
      when 'one-time' then 'One-Time'
      when 'recurring' then 'Recurring'
      when 'usage-based' then 'Usage-Based'
      else other_columns ->> 'ChargeFrequency'
    end as frequency,
    case charge_category
      when 'Usage' then coalesce(tokens, consumed_quantity)
      when 'Purchase' then pricing_quantity
    end as quantity,
    case charge_category
      when 'Usage' then if(tokens is null, consumed_unit, 'Tokens')
      when 'Purchase' then pricing_unit
    end as unit,
    json_array(
      category,
      frequency,
      unit,
      usage_type,
      if(tokens is null, null, usage_type),
      service_name,
      region_id,
      other_columns ->> 'x_InferenceGeo',
      other_columns ->> 'x_ServiceTier',
      other_columns ->> 'x_ContextWindow'
    ) as sort
  from focus.charges
  where left_out_rows is null
)
group by connection, usage_date, currency, project_id, user_id, api_key_id, line_item, model
having min(sort::varchar) = max(sort::varchar)
