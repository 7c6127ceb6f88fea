-- one row per connection, day and workspace with usage (the default workspace has no id and is `default`);
-- the title has the name that the workspace was last listed with, or its id
select
  connection,
  usage_date,
  port_identifier(connection, coalesce(workspace_id, 'default') || '-' || usage_date) as identifier,
  coalesce(max(name), coalesce(workspace_id, 'default')) || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  coalesce(workspace_id, 'default') as workspace_id,
  sum(uncached_input_tokens) as uncached_input_tokens,
  sum(output_tokens) as output_tokens,
  sum(cache_read_input_tokens) as cache_read_input_tokens,
  sum(cache_creation_5m_input_tokens) as cache_creation_5m_tokens,
  sum(cache_creation_1h_input_tokens) as cache_creation_1h_tokens,
  sum(web_search_requests) as web_search_requests
from anthropic.usage_messages
left join (select connection, id as workspace_id, name from last_listed(['anthropic.workspaces'])) as names
  using (connection, workspace_id)
group by connection, usage_date, coalesce(workspace_id, 'default')
