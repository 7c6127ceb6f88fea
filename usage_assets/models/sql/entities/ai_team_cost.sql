-- costs by team; amounts.sql adds them up to one row per connection, day and team. All rows of a day add up to its costs
select
  connection,
  usage_date,
  provider,
  cost_basis,
  native_amount,
  amount_usd,
  [team] as identified_by,
  [team] as called,
  team,
  -- a team may have several: a row of its own for each would be two entities of one team
  nullif(
    array_to_string(
      list_sort(list(distinct cost_center) over (partition by connection, usage_date, provider, team)), ', '
    ),
    ''
  ) as cost_center
from costs.by_team
