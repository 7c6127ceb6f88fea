-- what the users of a day spent adds up to the workspace's own row: costs and entities are computed from the users
-- (days with both; a user row without an amount hides what the workspace's row states)
-- says: the users of the workspace add up to {found}, and the workspace's own row says {expected} ({difference} apart)
-- do: Costs count the users. Compare the day with the workspace's analytics page; a user who left may be missing
-- settled: chatgpt.codex_usage
select
  connection,
  usage_date,
  if(total = 'credits', 'credits', 'USD') as unit,
  coalesce(sum(amount) filter (where cut = 'workspace'), 0) as expected,
  coalesce(sum(amount) filter (where cut = 'user'), 0) as found
from (
  select connection, usage_date, cut, 'credits' as total, credits as amount
  from chatgpt.codex_usage
  union all
  select connection, usage_date, cut, 'cost_usd' as total, cost_usd as amount
  from chatgpt.codex_usage
)
group by connection, usage_date, total
having
  bool_or(cut = 'workspace')
  and bool_or(cut = 'user')
  and abs(expected - found) > 0.000000001
