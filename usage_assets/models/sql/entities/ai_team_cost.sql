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
  team
from costs.by_team
