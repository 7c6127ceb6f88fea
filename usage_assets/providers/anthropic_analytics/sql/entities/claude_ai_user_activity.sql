-- one row per connection, day and person. A counter that Anthropic leaves out is unknown: null
with people as (
  select
    *,
    from_json(claude_code_tool_actions, '{
      "edit_tool": {"accepted_count": "BIGINT", "rejected_count": "BIGINT"},
      "write_tool": {"accepted_count": "BIGINT", "rejected_count": "BIGINT"},
      "multi_edit_tool": {"accepted_count": "BIGINT", "rejected_count": "BIGINT"},
      "notebook_edit_tool": {"accepted_count": "BIGINT", "rejected_count": "BIGINT"}
    }') as tools,
    map_values(from_json(office_metrics, '{
      "excel": {"distinct_session_count": "BIGINT", "message_count": "BIGINT"},
      "powerpoint": {"distinct_session_count": "BIGINT", "message_count": "BIGINT"},
      "word": {"distinct_session_count": "BIGINT", "message_count": "BIGINT"},
      "outlook": {"distinct_session_count": "BIGINT", "message_count": "BIGINT"}
    }')::map(varchar, struct(distinct_session_count bigint, message_count bigint))) as office
  from anthropic_analytics.users
)
select
  connection,
  usage_date,
  port_identifier(connection, user_id || '-' || usage_date) as identifier,
  coalesce(user_email, user_id) || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  user_id,
  if(contains(user_email, '@'), user_email, null) as email,
  chat_distinct_conversation_count as chat_conversation_count,
  chat_message_count,
  chat_thinking_message_count,
  chat_distinct_skills_used_count as chat_skills_used_count,
  chat_connectors_used_count,
  claude_code_distinct_session_count as code_session_count,
  claude_code_commit_count as code_commit_count,
  claude_code_pull_request_count as code_pull_request_count,
  claude_code_lines_added_count as lines_added,
  claude_code_lines_removed_count as lines_removed,
  tools.edit_tool.accepted_count as edit_tool_accepted,
  tools.edit_tool.rejected_count as edit_tool_rejected,
  tools.write_tool.accepted_count as write_tool_accepted,
  tools.write_tool.rejected_count as write_tool_rejected,
  web_search_count,
  chat_distinct_projects_used_count as chat_projects_used_count,
  chat_distinct_projects_created_count as chat_projects_created_count,
  chat_distinct_artifacts_created_count as chat_artifacts_created_count,
  chat_distinct_files_uploaded_count as chat_files_uploaded_count,
  chat_shared_conversations_viewed_count,
  tools.multi_edit_tool.accepted_count as multi_edit_tool_accepted,
  tools.multi_edit_tool.rejected_count as multi_edit_tool_rejected,
  tools.notebook_edit_tool.accepted_count as notebook_edit_tool_accepted,
  tools.notebook_edit_tool.rejected_count as notebook_edit_tool_rejected,
  list_sum(list_transform(office, lambda app: app.distinct_session_count))::bigint as office_session_count,
  list_sum(list_transform(office, lambda app: app.message_count))::bigint as office_message_count,
  cowork_distinct_session_count as cowork_session_count,
  cowork_message_count,
  design_distinct_session_count as design_session_count,
  design_message_count
from people
