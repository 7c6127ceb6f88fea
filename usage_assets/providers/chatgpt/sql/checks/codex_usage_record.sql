-- counts of port_entities.codex_usage_record add up to chatgpt.codex_usage:
-- to user rows, or to the workspace row on days without them
with counted as (
  select *
  from chatgpt.codex_usage
  qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
)
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
      threads,
      turns,
      uncached_text_input_tokens,
      cached_text_input_tokens,
      text_output_tokens,
      text_total_tokens
    from counted
  )
  on columns(* exclude (connection, usage_date))
  into name total value expected
  union all by name
  unpivot (
    select
      connection,
      usage_date,
      threads,
      turns,
      uncached_text_input_tokens,
      cached_text_input_tokens,
      text_output_tokens,
      text_total_tokens
    from port_entities.codex_usage_record
  )
  on columns(* exclude (connection, usage_date))
  into name total value found
)
group by connection, usage_date, total
having sum(expected) is distinct from sum(found)
