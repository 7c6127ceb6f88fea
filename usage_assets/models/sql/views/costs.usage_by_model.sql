-- requests and tokens of all providers by model, as its provider calls it, with what models.names says of it
-- reads: costs.usage, models.names
-- columns: costs.usage, models.names
create or replace view costs.usage_by_model as
select
  connection,
  provider,
  usage_date,
  model,
  family,
  variant,
  sum(requests) as requests,
  sum(input_tokens) as input_tokens,
  sum(cached_input_tokens) as cached_input_tokens,
  sum(cache_write_tokens) as cache_write_tokens,
  sum(cache_write_1h_tokens) as cache_write_1h_tokens,
  sum(output_tokens) as output_tokens
from costs.usage
left join models.names using (provider, model)
where coalesce(usage_bytes, sessions) is null
group by all;

comment on view costs.usage_by_model is
  'One row per connection, day and model: requests and tokens; null: not stated. Input includes cached input'
