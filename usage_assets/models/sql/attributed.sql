-- every cost once, with whom it is for as finely as is known: the parts in costs.allocated_costs, and from costs.daily_costs
-- whatever those do not hold: other cost bases, sources that are not allocated, and days whose parts were not computed from
-- the bill as it is now. That they add up to it is no proof: an amount may have moved from one workspace to another.
-- There are two such views: of rows, and of their sums by key, which are joined in a fraction of the time
-- reads: costs.names, costs.daily_costs{by_key}, costs.allocated_costs{by_key}, ledger.stored_days, accounting.owners
-- columns: costs.daily_costs{by_key}, costs.allocated_costs{by_key}
-- column native_amount: Amount; of a bill that is split, the part of this key and user
--   [native_unit; cost_basis; within currency]
-- column allocation: How key and user of a bill are known, as in costs.allocated_costs; null: the row is that of costs.daily_costs
-- column basis: What the units are, and what their usage has in common with the bill; null: not split
-- column units: What was used by this key and user; null: not split [allocation]
-- column all_units: What was used by all who share the bill; null: not split [allocation]
-- column billed_amount: Amount that this is a part of; null: the row is that of costs.daily_costs
--   [native_unit; billed; within currency]
-- column project_name: Name of the project when it was last listed; its id where no name is known
-- column workspace_name: Name of the workspace when it was last listed; its id where no name is known
-- column user_name: Name of the user when they were last listed; the id where none is known, or USAGE_PEOPLE keeps none
-- column user_email: Address of the user, as USAGE_PEOPLE wants it
-- column api_key_display_name: Name of the API key when it was last listed, otherwise as the source names it, otherwise its id
-- column actor_kind: person, service_account, api_key or unknown: whom the cost is for, as finely as it is known
-- column actor_id: Id of the user, service account or API key; null: unknown
-- column actor_name: Its name, otherwise its id; unknown
-- column team: Team that owns the API key, user, project or workspace: the first of these that has an owner; unowned: none
-- column cost_center: Cost center of the team; null: none is stated
create or replace view costs.allocated_costs{by_key}_named as
with
costs as (
  select
    {part_columns}
  from costs.allocated_costs{by_key}
  anti join (
{unallocated}
  ) using (connection, usage_date, source_table)
  union all by name
  select {bill_columns}
  from costs.daily_costs{by_key}
  where cost_basis <> 'billed'
  union all by name
  select {bill_columns}
  from costs.daily_costs{by_key}
  semi join (
{unallocated}
  ) using (connection, usage_date, source_table)
  where cost_basis = 'billed'
{newer_columns}),
named as (
{with_names}
),
attributed as (
  select
    named.*,
    case
      when user_id is not null then struct_pack(
        kind := if(named.is_service_account, 'service_account', 'person'),
        id := user_id,
        name := user_name
      )
      when accounts.id is not null then struct_pack(
        kind := 'service_account',
        id := accounts.id,
        name := coalesce(accounts.name, accounts.id)
      )
      when coalesce(api_key_id, api_key_name) is not null then struct_pack(
        kind := 'api_key',
        id := coalesce(api_key_id, api_key_name),
        name := api_key_display_name
      )
      else struct_pack(kind := 'unknown', id := null, name := 'unknown')
    end as actor,
    coalesce(
      owned_api_key.owner,
      owned_user.owner,
      owned_project.owner,
      owned_workspace.owner,
      struct_pack(team := 'unowned', cost_center := null)
    ) as owner
  from named
  left join costs.names as accounts
    on accounts.kind = 'user_id'
    and accounts.connection = named.connection
    and accounts.id = named.service_account_id
{owned})
select
  * exclude (actor, owner, is_service_account, service_account_id),
  actor.kind as actor_kind,
  actor.id as actor_id,
  actor.name as actor_name,
  owner.team as team,
  owner.cost_center as cost_center
from attributed;

comment on view costs.allocated_costs{by_key}_named is
  '{what}, by API key and user where costs.allocated_costs knows them, with names, actor and team. Filter by cost_basis; never add it to costs.daily_costs';

drop view if exists costs.daily_costs_owned
