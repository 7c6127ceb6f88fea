-- one row per connection that reads bills of several vendors, day, service, and connection that bills the same on that day: the
-- vendor's own bill. A charge is of the provider whose service it names, or else of the one who sells it; what the connection's
-- own provider claims is nobody else's. A row of costs has all charges of a day, service and line item: it is of a provider only if
-- all of them are. Null: a part has no dollar value. Every other view has both amounts. Where accounts is not null, both connections
-- store charges of these billing accounts (and sub accounts), and nobody has said that they share none
-- reads: costs.daily_costs, accounting.bill_names, accounting.separate_bills
-- columns: costs.daily_costs
-- column connection: Connection that reads bills of several vendors
-- column service: Service, as the bill of several vendors names it
-- column provider: Provider that the service is of
-- column billed_by: The other connection that bills it
-- column amount_usd: What the connection bills for it; null where a part has no dollar value [USD; billed]
-- column billed_by_usd: What the other connection bills on that day, or, with accounts, for these accounts; null where a part has no
--   dollar value [USD; billed]
-- column accounts: Billing and sub accounts whose charges both store; null: the service is billed by a connection of its provider
create or replace view costs.billed_twice as
with charges as (
  select *, count(*) over (partition by source_table, connection, usage_date, cost_type, line_item) as rows_of_line_item
  from (
{bills_of_vendors}
  )
),
of_names as (
  select distinct names.*, bill_names.provider as of_provider
  from (select distinct provider, services, sellers from charges) as names
  join accounting.bill_names
    on len(
      list_filter(if(kind = 'service', services, sellers), lambda name: lower(name) glob pattern)
    ) > 0
  window name as (partition by names.provider, services, sellers)
  qualify
    (kind = 'service' or not bool_or(kind = 'service') over name)
    and not bool_or(kind = 'service' and names.provider = bill_names.provider) over name
),
claimed as (
  select source_table, connection, usage_date, cost_type, line_item, of_provider
  from charges
  join of_names using (provider, services, sellers)
  group by source_table, connection, usage_date, cost_type, line_item, of_provider
  having count(*) = any_value(rows_of_line_item)
),
accounts as (
{accounts_of_bills}
),
shared as (
  select
    accounts.provider,
    accounts.source_table,
    accounts.connection,
    accounts.usage_date,
    accounts.cost_type,
    accounts.sub_account_id,
    others.connection as billed_by,
    string_agg(
      distinct coalesce(accounts.billing_account_id, 'no account') || coalesce('/' || accounts.sub_account_id, ''), ', '
    ) as accounts
  from accounts
  join accounts as others
    using (provider, source_table, usage_date, cost_type)
  where accounts.connection <> others.connection
    and accounts.billing_account_id is not distinct from others.billing_account_id
    and accounts.sub_account_id is not distinct from others.sub_account_id
    and (accounts.connection, others.connection) not in (select (connection, other) from accounting.separate_bills)
    and (others.connection, accounts.connection) not in (select (connection, other) from accounting.separate_bills)
  group by all
),
of_accounts as (
  select
    source_table,
    connection,
    usage_date,
    cost_type,
    project_id,
    if(count(amount_usd) = count(*), sum(amount_usd), null)::decimal(38, 24) as amount_usd
  from costs.daily_costs
  where cost_basis = 'billed'
  group by source_table, connection, usage_date, cost_type, project_id
),
bills as (
  select
    connection,
    provider,
    usage_date,
    if(count(amount_usd) = count(*), sum(amount_usd), null)::decimal(38, 24) as amount_usd
  from costs.daily_costs
  where cost_basis = 'billed' and native_amount <> 0
  group by connection, provider, usage_date
)
select
  costs.connection,
  costs.usage_date,
  costs.cost_type as service,
  bills.provider,
  bills.connection as billed_by,
  if(count(costs.amount_usd) = count(*), sum(costs.amount_usd), null)::decimal(38, 24) as amount_usd,
  any_value(bills.amount_usd) as billed_by_usd,
  null as accounts
from costs.daily_costs as costs
join claimed
  on claimed.source_table = costs.source_table
  and claimed.connection = costs.connection
  and claimed.usage_date = costs.usage_date
  and claimed.cost_type = costs.cost_type
  and claimed.line_item is not distinct from costs.line_item
join bills
  on bills.provider = claimed.of_provider
  and bills.usage_date = costs.usage_date
where costs.cost_basis = 'billed' and costs.native_amount <> 0
group by
  costs.connection,
  costs.usage_date,
  costs.cost_type,
  bills.provider,
  bills.connection
union all
select
  shared.connection,
  shared.usage_date,
  shared.cost_type as service,
  shared.provider,
  shared.billed_by,
  if(count(mine.amount_usd) = count(*), sum(mine.amount_usd), null)::decimal(38, 24) as amount_usd,
  if(count(theirs.amount_usd) = count(*), sum(theirs.amount_usd), null)::decimal(38, 24) as billed_by_usd,
  string_agg(distinct shared.accounts, ', ' order by shared.accounts) as accounts
from shared
join of_accounts as mine
  on mine.source_table = shared.source_table
  and mine.connection = shared.connection
  and mine.usage_date = shared.usage_date
  and mine.cost_type = shared.cost_type
  and mine.project_id is not distinct from shared.sub_account_id
join of_accounts as theirs
  on theirs.source_table = shared.source_table
  and theirs.connection = shared.billed_by
  and theirs.usage_date = shared.usage_date
  and theirs.cost_type = shared.cost_type
  and theirs.project_id is not distinct from shared.sub_account_id
group by shared.connection, shared.usage_date, shared.cost_type, shared.provider, shared.billed_by;

comment on view costs.billed_twice is
  'One row per connection, day and service of a bill of several vendors that another connection bills, too: docs/money.md'
