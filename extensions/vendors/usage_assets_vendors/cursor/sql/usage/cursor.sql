-- partly: events are requests; the input is stated in three disjoint parts, and unknown where one is missing. The use of an own
--   key is in that key's provider's reports, too
-- reads: cursor.usage_events
select
  connection,
  usage_date,
  'cursor' as provider,
  model,
  charge = 'billed' as is_billed,
  coalesce(service_account_id, user_id) as user_id,
  events as requests,
  input_tokens + cache_read_tokens + cache_write_tokens as input_tokens,
  cache_read_tokens as cached_input_tokens,
  cache_write_tokens,
  output_tokens
from cursor.usage_events
