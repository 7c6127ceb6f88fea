-- costs by user; amounts.sql adds them up to one row per connection, day and user, and one for what no user is known of. All rows of a
-- day add up to its costs
select
  connection,
  usage_date,
  provider,
  cost_basis,
  native_amount,
  amount_usd,
  [user_id] as identified_by,
  [coalesce(user_name, 'unassigned')] as called,
  user_id,
  coalesce(user_email, if(user_id like '%_@_%', user_id, null)) as user_email
from costs.daily_costs_named
