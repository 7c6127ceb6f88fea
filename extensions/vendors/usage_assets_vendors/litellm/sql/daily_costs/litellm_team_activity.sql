-- one row per connection, day and team: capacity that is reserved for it and paid for by time, as the proxy spreads it. Estimated, as the
-- spend, which litellm.user_activity has and which is 0 for the use of such capacity
select
  connection,
  'litellm' as provider,
  usage_date,
  'litellm.team_activity' as source_table,
  'estimated' as cost_basis,
  flat_cost as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  team_id as workspace_id,
  'reserved capacity' as line_item,
  '' as grouped_by
from litellm.team_activity
where flat_cost <> 0
