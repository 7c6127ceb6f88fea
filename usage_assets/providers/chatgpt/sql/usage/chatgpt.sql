-- of the users' rows, or of the workspace's on days without any: the cut by model does not add up to them
-- reads: chatgpt.codex_usage
select
  connection,
  usage_date,
  'chatgpt' as provider,
  workspace_id,
  user_id,
  if(coalesce(cost_usd, 0) = 0 and credits > 0, false, null) as is_billed,
  text_total_tokens - text_output_tokens as input_tokens,
  cached_text_input_tokens as cached_input_tokens,
  text_output_tokens as output_tokens
from chatgpt.codex_usage
qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
