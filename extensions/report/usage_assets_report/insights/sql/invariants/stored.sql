-- what is stored per day and dimension of a scope, in one unit: dollars of all that is billed and has a rate, a currency, or credits.
-- Other queries here read it
select
  usage_date,
  connection,
  team,
  project_id as project,
  workspace_id as workspace,
  user_id as user,
  model,
  coalesce(api_key_id, api_key_name) as api_key,
  unit,
  sum(amount) as amount
from (
  select *, 'USD' as unit, amount_usd as amount
  from costs.allocated_costs_named
  where cost_basis = 'billed' and amount_usd is not null
  union all by name
  select
    costs.*,
    currency as unit,
    case
      when native_unit = 'minor units' then native_amount::decimal(33, 20) * coalesce(minor_unit, 0.01)::decimal(5, 4)
      else native_amount
    end as amount
  from costs.allocated_costs_named as costs
  left join accounting.currencies using (currency)
  where cost_basis = 'billed' and currency <> 'USD'
  union all by name
  select *, 'credits' as unit, native_amount as amount
  from costs.allocated_costs_named
  where cost_basis = 'credits'
)
where usage_date between $first and $last
group by all
