-- one row per connection, day and user (a user without an id is `unknown`); the workspace's own row on days without any
-- user row: the two show the same use, and all entities of some days must add up to it. Unknown stays unknown: null
with
counted as (
  select *
  from chatgpt.codex_usage
  qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
),
named as (
  select
    *,
    coalesce(user_id, actor_user_id) as known_user,
    if(cut = 'user', coalesce(user_id, actor_user_id, 'unknown'), 'workspace') as name
  from counted
)
select
  connection,
  usage_date,
  port_identifier(connection, workspace_id || '-' || name || '-' || usage_date) as identifier,
  name || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  workspace_id,
  max(known_user) as user_id,
  cut as scope,
  sum(credits) as credits,
  sum(threads) as threads,
  sum(turns) as turns,
  sum(uncached_text_input_tokens) as uncached_text_input_tokens,
  sum(cached_text_input_tokens) as cached_text_input_tokens,
  sum(text_output_tokens) as text_output_tokens,
  sum(text_total_tokens) as text_total_tokens,
  sum(cost_usd) as cost_usd,
  sum(estimated_cost_usd) as estimated_cost_usd
from named
group by connection, usage_date, workspace_id, cut, name
