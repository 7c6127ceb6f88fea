-- credits and dollars of port_entities.codex_usage_record add up to chatgpt.codex_usage:
-- to user rows, or to the workspace row on days without them
-- sums: credits, cost_usd, estimated_cost_usd
-- unit: if(measure = 'credits', 'credits', 'USD')
-- nulls: unknown
from chatgpt.codex_usage
qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
