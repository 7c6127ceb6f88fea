-- counts of port_entities.codex_usage_record add up to chatgpt.codex_usage:
-- to user rows, or to the workspace row on days without them
-- sums: threads, turns, uncached_text_input_tokens, cached_text_input_tokens, text_output_tokens, text_total_tokens
-- nulls: unknown
from chatgpt.codex_usage
qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
