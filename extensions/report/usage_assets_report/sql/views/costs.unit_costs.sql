-- people who used a provider's tool, by day: people are counted once in a period, so never add up days. person is the provider's id,
-- person_id is the same in all connections. On a stored day on which nobody is named, both are null
-- reads: costs.complete_days, costs.people
-- columns: costs.complete_days
-- column connection: Connection: one provider organization or ChatGPT workspace
-- column costs.active_people.provider: Provider of the report
-- column provider: Provider of the report; null: a metric of your own
-- column usage_date: UTC day of the usage
-- column costs.active_people.source: Report that names the people
-- column source: Report of what was made, or accounting.metrics
-- column cost_basis: billed, estimated, notional or credits; never add one to another
-- column person: The provider's id of the person; null: nobody is named
-- column person_id: Person in all connections; null: nobody is named
-- column costs.active_people.cost_basis: Basis of the costs that the report is set against; null: any
-- column scope_type: connection, all, project or team
-- column scope_id: Name of the connection or team, or id of the project or workspace; empty for all
-- column metric: What is counted
-- column amount_usd: Costs of the day, without left_out_usd; null: usd_reason says why
--   [USD; cost_basis; within metric, scope_type]
-- column usd_reason: Why amount_usd is null
-- column quantity: How many of the metric; null: quantity_reason says why [metric; within scope_type, cost_basis]
-- column quantity_reason: Why quantity is null
-- column left_out_usd: Dollars of rows that the report cannot count; not in amount_usd
--   [USD; cost_basis; within metric, scope_type]
-- column left_out_reason: Why they are left out
create or replace view costs.active_people as
with people as (
{people}
union all by name
{people_of_usage}
)
select
  days.connection,
  days.provider,
  days.usage_date,
  days.source,
  days.cost_source,
  days.cost_basis,
  person,
  identities.person_id
from costs.complete_days as days
left join people
  on people.connection = days.connection
  and people.usage_date = days.usage_date
  and people.source = days.source
  and people.cost_basis is not distinct from days.cost_basis
  and people.person is not null
left join costs.people as identities
  on identities.connection = people.connection
  and identities.id = people.person
where days.has_people;

comment on view costs.active_people is
  'One row per connection, day, report, cost basis (null: any) and id of an active person (null: nobody is named). Count distinct person_id of a period; never add up days';

-- what was spent on a day, beside what was made with it: of a connection by the provider's own reports, of any scope by the metrics
-- that users state. A cost is null where a source of costs lacks the day, or a part has no dollar value; a quantity is null where a
-- report lacks it. Where a report cannot count some of its rows, the dollars of these rows are left_out_usd and not in amount_usd.
-- Divide sums over the days that have both; active people have to be counted in costs.active_people
-- reads: costs.daily_costs, costs.daily_costs_by_key, costs.allocated_costs_by_key_named, accounting.metrics, costs.complete_days
create or replace view costs.unit_costs as
with
complete as materialized (
  from costs.complete_days
),
with_costs as (
  from complete
  where source = 'costs.daily_costs'
),
-- of each source of a connection, each connection, and all of them. Sums of sums, because the second sum has few rows
costs as (
  select
    connection,
    source_table,
    usage_date,
    cost_basis,
    if(sum(rows_of_unknown_value) = 0, coalesce(sum(amount_usd), 0), null) as amount_usd
  from (
    select
      connection,
      source_table,
      usage_date,
      cost_basis,
      sum(amount_usd) as amount_usd,
      sum(rows_of_unknown_value) as rows_of_unknown_value
    from costs.daily_costs_by_key
    group by all
  )
  group by grouping sets (
    (connection, source_table, usage_date, cost_basis),
    (connection, usage_date, cost_basis),
    (usage_date, cost_basis)
  )
),
-- of each project and team, on the days that have a metric of one: the join comes first, because it leaves out nearly all rows
shared as (
  select
    coalesce(project_id, workspace_id) as project,
    team,
    usage_date,
    if(sum(rows_of_unknown_value) = 0, coalesce(sum(amount_usd), 0), null) as amount_usd
  from (select distinct usage_date from accounting.metrics where scope_type in ('project', 'team')) as days
  join costs.allocated_costs_by_key_named using (usage_date)
  where cost_basis = 'billed'
  group by grouping sets ((project, usage_date), (team, usage_date))
),
billed as (
  select
    if(connection is null, 'all', 'connection') as scope_type,
    coalesce(connection, '') as scope_id,
    usage_date,
    amount_usd
  from costs
  where cost_basis = 'billed' and source_table is null
  union all by name
  select
    if(team is null, 'project', 'team') as scope_type,
    coalesce(team, project) as scope_id,
    usage_date,
    amount_usd
  from shared
),
-- a scope without any costs may be misspelled: that is unknown, and not 0. Not only on the days that are asked for
known as (
  select distinct if(team is null, 'project', 'team') as scope_type, coalesce(team, project) as scope_id
  from shared
  union all
  select distinct 'connection', connection
  from costs.daily_costs
  semi join (select scope_id as connection from accounting.metrics where scope_type = 'connection') using (connection)
  where cost_basis = 'billed'
  union all
  select 'all', ''
  where exists (from costs.daily_costs where cost_basis = 'billed')
),
activity as (
{activity}
  union all by name
  select
    connection,
    usage_date,
    source,
    cost_basis,
    'active_people' as metric,
    count(distinct person_id) as quantity
  from costs.active_people
  group by all
)
select
  activity.usage_date,
  'connection' as scope_type,
  activity.connection as scope_id,
  made.provider,
  made.source,
  made.cost_source,
  activity.metric,
  bases.cost_basis,
  case
    when with_costs.usage_date is null then null
    when costs.usage_date is null then 0
    else costs.amount_usd - coalesce(activity.left_out_usd, 0)
  end::decimal(38, 24) as amount_usd,
  case
    when with_costs.usage_date is null then 'a source of costs is missing'
    when costs.usage_date is not null and costs.amount_usd is null then 'an amount has no dollar value'
  end as usd_reason,
  quantity::decimal(38, 24) as quantity,
  if(quantity is null, 'a counter is missing', null) as quantity_reason,
  nullif(activity.left_out_usd, 0)::decimal(38, 24) as left_out_usd,
  if(activity.left_out_usd <> 0, activity.left_out_reason, null) as left_out_reason
from activity
join complete as made
  on made.connection = activity.connection
  and made.usage_date = activity.usage_date
  and made.source = activity.source
  and made.cost_basis is not distinct from activity.cost_basis
join (select unnest(['billed', 'credits', 'estimated', 'notional']) as cost_basis) as bases
  on bases.cost_basis = coalesce(activity.cost_basis, bases.cost_basis)
left join with_costs
  on with_costs.connection = activity.connection
  and with_costs.usage_date = activity.usage_date
left join costs
  on costs.connection = activity.connection
  and costs.usage_date = activity.usage_date
  and costs.source_table is not distinct from made.cost_source
  and costs.cost_basis = bases.cost_basis
union all by name
select
  metrics.usage_date,
  metrics.scope_type,
  metrics.scope_id,
  'accounting.metrics' as source,
  metrics.metric,
  'billed' as cost_basis,
  case
    when with_costs.usage_date is null or known.scope_id is null then null
    when billed.usage_date is null then 0
    else billed.amount_usd
  end::decimal(38, 24) as amount_usd,
  case
    when known.scope_id is null then metrics.scope_type || ' without stored costs'
    when with_costs.usage_date is null then 'a source of costs is missing'
    when billed.usage_date is not null and billed.amount_usd is null then 'an amount has no dollar value'
  end as usd_reason,
  metrics.value as quantity
from accounting.metrics as metrics
left join with_costs
  on with_costs.connection is not distinct from if(metrics.scope_type = 'connection', metrics.scope_id, null)
  and with_costs.usage_date = metrics.usage_date
left join known
  on known.scope_type = metrics.scope_type
  and known.scope_id = metrics.scope_id
left join billed
  on billed.scope_type = metrics.scope_type
  and billed.scope_id = metrics.scope_id
  and billed.usage_date = metrics.usage_date
-- in an order, because DuckDB 1.5 waits forever for who reads an unordered union as it is made, if it is larger than its buffer
-- (https://github.com/duckdb/duckdb/issues/22215)
order by usage_date;

comment on view costs.unit_costs is
  'One row per day, scope, report, metric and cost basis: dollars and quantity. Divide sums of one metric and basis; null: unknown, for usd_reason or quantity_reason'
