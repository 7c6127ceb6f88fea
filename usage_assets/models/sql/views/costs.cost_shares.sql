-- what each cost center pays of a shared cost. What is shared by use is in no row where no cost center was billed anything itself
-- reads: costs.billed_to_share, accounting.shared_costs
-- columns: costs.billed_to_share, accounting.shared_costs
-- column month: First day of the month, UTC
-- column shared_cost: Name of the entry
-- column to_share: What is shared, in whole units: the same in each row of a shared cost [currency; billed; within currency, cost_center]
-- column weight: What the cost center has of the rule: people, its share, 1, or what it was billed itself [rule]
-- column of_weight: The sum of all weights [rule]
create or replace view costs.cost_shares as
with
billed as (
  from costs.billed_to_share
),
entries as (
  select distinct position, name as shared_cost, rule, scope_type, scope_id, valid_from, valid_until
  from accounting.shared_costs
),
to_share as (
  select date_trunc('month', usage_date)::date as month, shared_by as position, provider, connection, currency, sum(amount) as to_share
  from billed
  where shared_by is not null
  group by all
),
weights as (
  select
    date_trunc('month', usage_date)::date as month,
    position,
    currency,
    billed.cost_center,
    sum(amount) as weight
  from billed
  join entries
    on rule = 'by_use'
    and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
    and (scope_type <> 'connection' or scope_id = connection)
  semi join accounting.shared_costs as named
    on named.position = entries.position
    and coalesce(named.cost_center, billed.cost_center) = billed.cost_center
  group by all
  union all by name
  select distinct month, position, currency, cost_center, coalesce(weight, 1) as weight
  from to_share
  join accounting.shared_costs using (position)
  where rule <> 'by_use'
)
select
  month,
  position,
  shared_cost,
  rule,
  provider,
  connection,
  currency,
  to_share,
  cost_center,
  weight,
  sum(weight) over (partition by month, position, provider, connection, currency) as of_weight
from to_share
join entries using (position)
join weights using (month, position, currency)
where weight > 0;

comment on view costs.cost_shares is
  'One row per month, shared cost, connection, currency and cost center that pays a part of it: weight of of_weight'
