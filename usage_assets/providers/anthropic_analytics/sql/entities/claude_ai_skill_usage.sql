-- one row per connection, day, skill and way of sharing; the first way in the alphabet has the published identifier
with skills as (
  select
    skills.*,
    minor_unit,
    row_number() over (partition by connection, usage_date, skill_name order by share_status nulls first) as place,
    from_json(office_metrics, '{
      "excel": {"distinct_session_skill_used_count": "BIGINT"},
      "powerpoint": {"distinct_session_skill_used_count": "BIGINT"},
      "word": {"distinct_session_skill_used_count": "BIGINT"},
      "outlook": {"distinct_session_skill_used_count": "BIGINT"}
    }') as office
  from anthropic_analytics.skills
  left join accounting.currencies on currencies.currency = upper(coalesce(skills.currency, 'USD'))
)
select
  connection,
  usage_date,
  port_identifier(
    connection, concat_ws('-', skill_name, usage_date::varchar, if(place > 1, share_status, null))
  ) as identifier,
  coalesce(skill_display_name, skill_name) || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  skill_name,
  skill_display_name,
  distinct_user_count,
  enable_count,
  invocation_count,
  share_status,
  upper(coalesce(currency, 'USD')) as currency,
  major_units(estimated_overage_spend_cents, minor_unit) as estimated_overage_spend,
  major_units(attributed_list_price_cents, minor_unit) as attributed_list_price,
  chat_distinct_conversation_skill_used_count as chat_conversation_skill_used_count,
  claude_code_distinct_session_skill_used_count as code_session_skill_used_count,
  cowork_distinct_session_skill_used_count as cowork_session_skill_used_count,
  office.excel.distinct_session_skill_used_count as excel_session_skill_used_count,
  office.powerpoint.distinct_session_skill_used_count as powerpoint_session_skill_used_count,
  office.word.distinct_session_skill_used_count as word_session_skill_used_count,
  office.outlook.distinct_session_skill_used_count as outlook_session_skill_used_count
from skills
