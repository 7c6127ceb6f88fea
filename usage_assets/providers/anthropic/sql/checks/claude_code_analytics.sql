-- every counter of port_entities.claude_code_analytics adds up to anthropic.claude_code
select
  connection,
  usage_date,
  total,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
from (
  unpivot (
    select
      connection,
      usage_date,
      num_sessions,
      lines_added,
      lines_removed,
      commits,
      pull_requests,
      edit_tool_accepted,
      edit_tool_rejected,
      write_tool_accepted,
      write_tool_rejected
    from anthropic.claude_code
  )
  on columns(* exclude (connection, usage_date))
  into name total value expected
  union all by name
  unpivot (
    select
      connection,
      usage_date,
      num_sessions,
      lines_added,
      lines_removed,
      commits,
      pull_requests,
      edit_tool_accepted,
      edit_tool_rejected,
      write_tool_accepted,
      write_tool_rejected
    from port_entities.claude_code_analytics
  )
  on columns(* exclude (connection, usage_date))
  into name total value found
)
group by connection, usage_date, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0)
