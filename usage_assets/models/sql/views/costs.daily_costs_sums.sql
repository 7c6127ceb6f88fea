-- costs for people, summed: each view has every cost exactly once, per cost basis, unit and currency. Add amount_usd within one
-- cost_basis only: estimates are inside what is billed, notional costs are covered by a seat, credits are prepaid. It is null
-- where a part has no dollar value: a part must not look like all of it
-- reads: costs.daily_costs, costs.daily_costs_named, costs.allocated_costs_named
create or replace view costs.by_day as
select
  connection,
  provider,
  usage_date,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.daily_costs
group by all;

comment on view costs.by_day is
  'One row per connection, day, cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate';

create or replace view costs.by_month as
select
  connection,
  provider,
  date_trunc('month', usage_date)::date as month,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.daily_costs
group by all;

comment on view costs.by_month is
  'One row per connection, month, cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate';

create or replace view costs.by_model as
select
  connection,
  provider,
  usage_date,
  model,
  usage_type,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.daily_costs
group by all;

comment on view costs.by_model is
  'One row per connection, day, model, kind of usage, cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate';

create or replace view costs.by_project as
select
  connection,
  provider,
  usage_date,
  project_id,
  project_name,
  workspace_id,
  workspace_name,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.daily_costs_named
group by all;

comment on view costs.by_project is
  'One row per connection, day, project or workspace, cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate';

create or replace view costs.by_user as
select
  connection,
  provider,
  usage_date,
  user_id,
  user_name,
  user_email,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.daily_costs_named
group by all;

comment on view costs.by_user is
  'One row per connection, day, user as the bill names them, cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate';

create or replace view costs.by_team as
select
  connection,
  provider,
  usage_date,
  team,
  cost_centre,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.allocated_costs_named
group by all;

comment on view costs.by_team is
  'One row per connection, day, team, cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate';

create or replace view costs.by_actor as
select
  connection,
  provider,
  usage_date,
  actor_kind,
  actor_id,
  actor_name,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.allocated_costs_named
group by all;

comment on view costs.by_actor is
  'One row per connection, day, actor (person, service_account, api_key or unknown), cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate'
