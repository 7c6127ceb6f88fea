-- one row per connection, day, person, product, model and currency, in whole units of the currency: dollars
select
  connection,
  usage_date,
  port_identifier(
    connection,
    concat_ws(
      '-',
      actor_user_id,
      usage_date::varchar,
      coalesce(product, 'all'),
      coalesce(model, 'all'),
      nullif(upper(user_cost_report.currency), 'USD')
    )
  ) as identifier,
  coalesce(any_value(actor_name), any_value(actor_email), actor_user_id) || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  (usage_date + 1)::date || 'T00:00:00Z' as range_end,
  actor_user_id as user_id,
  any_value(actor_name) as user_name,
  any_value(if(contains(actor_email, '@'), actor_email, null)) as email,
  null::boolean as deleted,
  product,
  model,
  upper(user_cost_report.currency) as currency,
  major_units(sum(amount_cents), any_value(minor_unit)) as amount,
  major_units(sum(list_amount_cents), any_value(minor_unit)) as list_amount,
  sum(requests)::bigint as requests
from anthropic_analytics.user_cost_report
left join accounting.currencies on currencies.currency = upper(user_cost_report.currency)
group by connection, usage_date, actor_user_id, product, model, upper(user_cost_report.currency)
