-- tokens of charges: each charge counts one class, so those of a model and an account stand in one row. What has no charge of cache
-- did not use one
-- reads: focus.charges
select
  connection,
  usage_date,
  'focus' as provider,
  model,
  sub_account_id as project_id,
  sum(tokens) filter (usage_type like '%input_tokens')::bigint as input_tokens,
  coalesce(sum(tokens) filter (usage_type = 'cache_read_input_tokens'), 0)::bigint as cached_input_tokens,
  coalesce(sum(tokens) filter (usage_type like 'cache_creation%'), 0)::bigint as cache_write_tokens,
  sum(tokens) filter (usage_type = 'output_tokens')::bigint as output_tokens
from focus.charges
where tokens is not null
group by all
