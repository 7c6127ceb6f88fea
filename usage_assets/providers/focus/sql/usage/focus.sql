-- tokens of charges, each in the class that its meter counts
-- reads: focus.charges
select
  connection,
  usage_date,
  'focus' as provider,
  model,
  sub_account_id as project_id,
  case when usage_type like '%input_tokens' then tokens end as input_tokens,
  case when usage_type = 'cache_read_input_tokens' then tokens end as cached_input_tokens,
  case when usage_type like 'cache_creation%' then tokens end as cache_write_tokens,
  case when usage_type = 'output_tokens' then tokens end as output_tokens
from focus.charges
where tokens is not null
