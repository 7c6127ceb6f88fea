-- one row per connection that reads bills of several vendors, day, service, and connection that bills the same on that day: the
-- vendor's own bill. A charge is of the provider whose service it names, or else of the one who sells it; what the connection's
-- own provider claims is nobody else's. A row of costs has all charges of a day, service and line item: it is of a provider only if
-- all of them are. Null: a part has no dollar value. Every other view has both amounts
-- reads: costs.daily_costs, accounting.bill_names
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
  any_value(bills.amount_usd) as billed_by_usd
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
  bills.connection;

comment on view costs.billed_twice is
  'One row per connection, day and service of a bill of several vendors that another connection bills, too: docs/one-bill.md'
