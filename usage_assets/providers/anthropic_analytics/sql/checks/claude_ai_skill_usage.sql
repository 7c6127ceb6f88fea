-- every counter of port_entities.claude_ai_skill_usage adds up to anthropic_analytics.skills
-- sums: distinct_user_count, enable_count, invocation_count, chat_conversation_skill_used_count,
--   code_session_skill_used_count, cowork_session_skill_used_count, excel_session_skill_used_count,
--   powerpoint_session_skill_used_count, word_session_skill_used_count, outlook_session_skill_used_count
-- nulls: unknown
select
  * rename (
    chat_distinct_conversation_skill_used_count as chat_conversation_skill_used_count,
    claude_code_distinct_session_skill_used_count as code_session_skill_used_count,
    cowork_distinct_session_skill_used_count as cowork_session_skill_used_count
  ),
  try_cast(office_metrics ->> '$.excel.distinct_session_skill_used_count' as bigint) as excel_session_skill_used_count,
  try_cast(office_metrics ->> '$.powerpoint.distinct_session_skill_used_count' as bigint)
    as powerpoint_session_skill_used_count,
  try_cast(office_metrics ->> '$.word.distinct_session_skill_used_count' as bigint) as word_session_skill_used_count,
  try_cast(office_metrics ->> '$.outlook.distinct_session_skill_used_count' as bigint) as outlook_session_skill_used_count
from anthropic_analytics.skills
