-- one row per billed row of github_copilot.ai_credits and person, with how many AI credits the person used on the day; none
-- where nobody's use is known. GitHub bills a day's AI credits per model, and says of a person only how many they were in
-- all: each model's bill is shared alike. Credits that the plan includes are used by the same people, so net is shared as gross
-- would be. Credits that GitHub left out of a row of the day are shared by nobody: the others would pay for that person.
-- Counted in billionths of a credit: a share needs whole units, and credits have fractions
with usage as (
  select
    connection,
    usage_date,
    user_login,
    replace(ai_credits_used::decimal(38, 9)::varchar, '.', '')::hugeint::bigint as units
  from github_copilot.users_1_day
  qualify bool_and(ai_credits_used is not null) over (partition by connection, usage_date)
)
select
  costs.connection,
  costs.usage_date,
  costs.rowid as bill,
  costs.native_amount,
  costs.amount_usd,
  null::text as api_key_id,
  usage.user_login as user_id,
  usage.units,
  'nanocredits' as unit,
  1 as step,
  'ai_credits_used of github_copilot.users_1_day of the same day' as basis
from costs.daily_costs as costs
join usage
  on usage.connection = costs.connection
  and usage.usage_date = costs.usage_date
where costs.cost_basis = 'billed'
  and costs.source_table = 'github_copilot.ai_credits'
  and usage.units > 0
