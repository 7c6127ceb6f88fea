-- every counter of port_entities.claude_ai_user_activity adds up to anthropic_analytics.users
-- sums: chat_conversation_count, chat_message_count, chat_thinking_message_count, chat_skills_used_count,
--   chat_connectors_used_count, code_session_count, code_commit_count, code_pull_request_count, lines_added, lines_removed,
--   edit_tool_accepted, edit_tool_rejected, write_tool_accepted, write_tool_rejected, web_search_count,
--   chat_projects_used_count, chat_projects_created_count, chat_artifacts_created_count, chat_files_uploaded_count,
--   chat_shared_conversations_viewed_count, multi_edit_tool_accepted, multi_edit_tool_rejected,
--   notebook_edit_tool_accepted, notebook_edit_tool_rejected, office_session_count, office_message_count,
--   cowork_session_count, cowork_message_count, design_session_count, design_message_count
-- nulls: unknown
select
  * rename (
    chat_distinct_conversation_count as chat_conversation_count,
    chat_distinct_skills_used_count as chat_skills_used_count,
    claude_code_distinct_session_count as code_session_count,
    claude_code_commit_count as code_commit_count,
    claude_code_pull_request_count as code_pull_request_count,
    claude_code_lines_added_count as lines_added,
    claude_code_lines_removed_count as lines_removed,
    chat_distinct_projects_used_count as chat_projects_used_count,
    chat_distinct_projects_created_count as chat_projects_created_count,
    chat_distinct_artifacts_created_count as chat_artifacts_created_count,
    chat_distinct_files_uploaded_count as chat_files_uploaded_count,
    cowork_distinct_session_count as cowork_session_count,
    design_distinct_session_count as design_session_count
  ),
  try_cast(claude_code_tool_actions ->> '$.edit_tool.accepted_count' as bigint) as edit_tool_accepted,
  try_cast(claude_code_tool_actions ->> '$.edit_tool.rejected_count' as bigint) as edit_tool_rejected,
  try_cast(claude_code_tool_actions ->> '$.write_tool.accepted_count' as bigint) as write_tool_accepted,
  try_cast(claude_code_tool_actions ->> '$.write_tool.rejected_count' as bigint) as write_tool_rejected,
  try_cast(claude_code_tool_actions ->> '$.multi_edit_tool.accepted_count' as bigint) as multi_edit_tool_accepted,
  try_cast(claude_code_tool_actions ->> '$.multi_edit_tool.rejected_count' as bigint) as multi_edit_tool_rejected,
  try_cast(claude_code_tool_actions ->> '$.notebook_edit_tool.accepted_count' as bigint) as notebook_edit_tool_accepted,
  try_cast(claude_code_tool_actions ->> '$.notebook_edit_tool.rejected_count' as bigint) as notebook_edit_tool_rejected,
  list_sum(try_cast(office_metrics ->> [
    '$.excel.distinct_session_count',
    '$.powerpoint.distinct_session_count',
    '$.word.distinct_session_count',
    '$.outlook.distinct_session_count'
  ] as bigint[])) as office_session_count,
  list_sum(try_cast(office_metrics ->> [
    '$.excel.message_count',
    '$.powerpoint.message_count',
    '$.word.message_count',
    '$.outlook.message_count'
  ] as bigint[])) as office_message_count
from anthropic_analytics.users
