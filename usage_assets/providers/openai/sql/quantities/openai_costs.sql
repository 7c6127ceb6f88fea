-- one row per connection, day, currency, project, user, API key and line item; none of several units, or without one
-- reads: openai.costs
select
  'openai.costs' as source_table,
  connection,
  usage_date,
  upper(amount_currency) as currency,
  project_id,
  user_id,
  api_key_id,
  line_item,
  sum(quantity)::decimal(38, 24) as quantity,
  case any_value(quantity_unit)
    when 'tokens' then 'Tokens'
    when '1000_tokens' then '1000 Tokens'
    when 'characters' then 'Characters'
    when 'images' then 'Images'
    when 'duration_seconds' then 'Seconds'
    when 'duration_minutes' then 'Minutes'
    when 'duration_hours' then 'Hours'
    when 'gibibyte_hours' then 'GiB-Hours'
  end as unit
from openai.costs
group by connection, usage_date, upper(amount_currency), project_id, user_id, api_key_id, line_item
having count(distinct quantity_unit) = 1
  and count(quantity_unit) = count(*)
  and count(quantity) = count(*)
  and unit is not null
