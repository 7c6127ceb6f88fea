-- title: Codex
-- note: Of the users' rows, or of the workspace's row on days without any.
-- explain: --table chatgpt.codex_usage --day {day} --connection {connection} --where cut={cut} --column threads --column turns
--   --column text_total_tokens --column credits
-- reads: chatgpt.codex_usage
select
  usage_date as day,
  connection,
  cut,  -- for explain
  count(distinct user_id) as users,
  sum(threads)::bigint as threads,
  sum(turns)::bigint as turns,
  sum(text_total_tokens)::bigint as tokens,
  sum(credits) as credits
from (
  select *
  from chatgpt.codex_usage
  where usage_date between $first and $last
  qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
)
group by all
order by all
