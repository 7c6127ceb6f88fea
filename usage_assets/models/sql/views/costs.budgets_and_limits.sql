-- the limits that providers keep now, in whole units of their currency, each beside our budget of today for the same scope,
-- period and currency; either may be missing. The limit of an organization is that of its connection
-- reads: accounting.budgets, accounting.currencies
-- columns: accounting.budgets
-- column connection: Connection whose provider keeps the limit; null: a budget without one
-- column scope_type: What it limits, such as organization, workspace, project or user; of a budget, its scope
-- column scope_id: Id or name of what it limits; of an organization, its connection
-- column period: day, week, month or quarter, or as the provider calls it
-- column currency: Currency, ISO 4217
-- column limit_amount: The provider's limit, in whole units; null: no cap, credits, or none [currency; planned]
-- column enforced: Whether the provider stops at the limit, as it says; null: not stated
-- column source: Table that the limit is from; null: none
-- column budget: Name of the budget of the same scope, period and currency; null: none
-- column budget_amount: What the budget allows; null: none [currency; planned]
-- column difference: limit_amount less budget_amount; null where one is missing [currency; planned]
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
