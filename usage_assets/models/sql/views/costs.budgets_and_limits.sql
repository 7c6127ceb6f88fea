-- the limits that providers keep now, in whole units of their currency, each beside our budget of today for the same scope,
-- period and currency; either may be missing. The limit of an organization is that of its connection
-- reads: accounting.budgets, accounting.currencies
create or replace view costs.budgets_and_limits as
with limits as (
{limits}
),
stated as (
  select
    limits.* exclude (minor_units, scope_id),
    (minor_units::decimal(18, 6) * coalesce(minor_unit, 0.01)::decimal(5, 4))::decimal(38, 24) as limit_amount,
    if(scope_type = 'organization', connection, scope_id) as scope_id
  from limits
  left join accounting.currencies using (currency)
),
budgets as (
  select name, scope_type, scope_id, amount, currency, period
  from accounting.budgets
  where current_date between valid_from and coalesce(valid_until, date '9999-12-31')
)
select
  stated.connection,
  coalesce(stated.scope_type, budgets.scope_type) as scope_type,
  coalesce(stated.scope_id, budgets.scope_id) as scope_id,
  coalesce(stated.period, budgets.period) as period,
  coalesce(stated.currency, budgets.currency) as currency,
  limit_amount,
  enforced,
  source,
  budgets.name as budget,
  budgets.amount as budget_amount,
  limit_amount - budgets.amount as difference
from stated
full join budgets
  on if(stated.scope_type = 'organization', 'connection', stated.scope_type) = budgets.scope_type
  and stated.scope_id = budgets.scope_id
  and stated.period = budgets.period
  and stated.currency = budgets.currency;

comment on view costs.budgets_and_limits is
  'One row per spend limit of a provider, and per budget without one: limit, budget and difference; null: no cap, or credits'
