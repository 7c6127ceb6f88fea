-- one row per connection, day, person, product and model
select
  connection,
  usage_date,
  port_identifier(
    connection, concat_ws('-', actor_user_id, usage_date::varchar, coalesce(product, 'all'), coalesce(model, 'all'))
  ) as identifier,
  coalesce(actor_name, actor_email, actor_user_id) || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  (usage_date + 1)::date || 'T00:00:00Z' as range_end,
  actor_user_id as user_id,
  actor_name as user_name,
  if(contains(actor_email, '@'), actor_email, null) as email,
  null::boolean as deleted,
  product,
  model,
  null::varchar as context_window,
  null::varchar as inference_geo,
  null::varchar as speed,
  uncached_input_tokens,
  cache_creation_1h_input_tokens as cache_creation_1h_tokens,
  cache_creation_5m_input_tokens as cache_creation_5m_tokens,
  cache_read_input_tokens,
  output_tokens,
  total_tokens,
  web_search_requests,
  requests
from anthropic_analytics.user_usage_report
