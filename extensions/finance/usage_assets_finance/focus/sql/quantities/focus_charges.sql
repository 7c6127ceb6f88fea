-- one row per connection, day, currency, sub account, user, API key, description, category and model: what was priced; none of several
-- units, and none where a charge of an amount states no quantity.
-- The export states the charges as their files do, and does not read this
-- reads: focus.charges
select
  'focus.charges' as source_table,
  connection,
  usage_date,
  billing_currency as currency,
  sub_account_id as project_id,
  other_columns ->> 'x_UserId' as user_id,
  other_columns ->> 'x_ApiKeyId' as api_key_id,
  coalesce(charge_description, sku_meter) as line_item,
  charge_category as category,
  model,
  sum(pricing_quantity)::decimal(38, 24) as quantity,
  any_value(pricing_unit) as unit
from focus.charges
where left_out_rows is null
group by all
having count(distinct pricing_unit) = 1
  and bool_and(billed_cost = 0 or (pricing_unit is not null and pricing_quantity is not null))
