-- title: Claude Code
-- note: As Anthropic counts them. Accepted: suggestions of the edit, write and notebook tools that people kept.
-- explain: --table anthropic.claude_code --day {day} --column num_sessions --column lines_added --column lines_removed
--   --column commits --column pull_requests --column edit_tool_accepted --column multi_edit_tool_accepted
--   --column write_tool_accepted --column notebook_edit_tool_accepted --column edit_tool_rejected
--   --column multi_edit_tool_rejected --column write_tool_rejected --column notebook_edit_tool_rejected
-- reads: anthropic.claude_code
select
  usage_date as day,
  count(distinct coalesce(actor_email, api_key_name)) as actors,
  sum(num_sessions)::bigint as sessions,
  sum(lines_added)::bigint as lines_added,
  sum(lines_removed)::bigint as lines_removed,
  sum(commits)::bigint as commits,
  sum(pull_requests)::bigint as pull_requests,
  sum(edit_tool_accepted + multi_edit_tool_accepted + write_tool_accepted + notebook_edit_tool_accepted)::bigint as accepted,
  sum(edit_tool_rejected + multi_edit_tool_rejected + write_tool_rejected + notebook_edit_tool_rejected)::bigint as rejected
from anthropic.claude_code
where usage_date between $first and $last
group by all
order by all
