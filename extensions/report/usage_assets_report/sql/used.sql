-- the quantities that a charge was billed for, per item, day and unit. A quantity is the bill's own, or else the tokens and so on that
-- costs were allocated by: bills of the same tokens, such as those of two context windows, share them by cost
with
costs as (
  select
    *,
    coalesce(project_id, workspace_id) as project,
    coalesce(costs.charge_category, 'Usage') as category,
{price_id} as price_id
  from (
    select costs.*, names.family, names.variant
    from costs.daily_costs as costs
    left join models.names_in_costs as names using (provider, model)
  ) as costs
  where cost_basis = 'billed'
    and amount_usd is not null
    and native_amount <> 0
    and (usage_date between $before_first and $before_same or usage_date between $first and $last)
    and {charge_kind} = 'usage'
),
stated as (
  select
    source_table,
    connection,
    usage_date,
    currency,
    project_id,
    workspace_id,
    line_item,
    model,
    coalesce(category, 'Usage') as category,
    min(unit) as unit,
    sum(quantity) as quantity,
    count(*) as row_count
  from costs.quantities
  where quantity is not null and (usage_date between $before_first and $before_same or usage_date between $first and $last)
  group by all
  having min(unit) = max(unit)
),
of_bills as (
  select
    costs.connection,
    costs.usage_date,
    price_id,
    project,
    costs.currency,
    stated.unit,
    any_value(stated.quantity) as quantity,
    sum(native_amount) as native_amount
  from costs
  left join accounting.cost_sources as sources using (source_table)
  join stated
    on stated.source_table = costs.source_table
    and stated.connection = costs.connection
    and stated.usage_date = costs.usage_date
    and stated.currency is not distinct from costs.currency
    and stated.project_id is not distinct from costs.project_id
    and stated.workspace_id is not distinct from costs.workspace_id
    and stated.line_item is not distinct from costs.line_item
    and stated.category = costs.category
    and stated.model is not distinct from if(coalesce(sources.splits_line_items, false), null, costs.model)
  group by
    costs.connection,
    costs.usage_date,
    price_id,
    project,
    costs.currency,
    stated.unit,
    stated.source_table,
    stated.workspace_id,
    stated.line_item,
    stated.model
  -- otherwise nobody can say which rows have the quantity
  having count(*) = any_value(stated.row_count)
),
allocated as (
  select
    costs.connection,
    usage_date,
    source_table,
    coalesce(project_id, workspace_id) as project,
{price_id} as price_id,
    line_item,
    model,
    service_tier,
    currency,
    if(allocation = 'stated', split_part(split_part(basis, ' of ', 1), '_', -1), allocation) as unit,
    allocation,
    basis,
    coalesce(sum(units) filter (where allocation = 'stated'), max(all_units)) as units,
    sum(native_amount) as native_amount
  from (
    select costs.*, names.family, names.variant
    from costs.allocated_costs as costs
    left join models.names_in_costs as names using (provider, model)
  ) as costs
  where all_units > 0
    and amount_usd is not null
    and (usage_date between $before_first and $before_same or usage_date between $first and $last)
  group by all
),
of_use as (
  select
    connection,
    usage_date,
    price_id,
    project,
    currency,
    upper(unit[1]) || unit[2:] as unit,
    (units * (native_amount / sum(native_amount) over bills_of_use))::decimal(38, 9) as quantity,
    native_amount
  from allocated
  window bills_of_use as (
    partition by
      connection,
      usage_date,
      source_table,
      project,
      currency,
      allocation,
      basis,
      if(contains(basis, 'model'), model, null),
      if(contains(basis, 'service_tier'), service_tier, null)
  )
  qualify sum(native_amount) over bills_of_use > 0
)
select
  connection,
  price_id,
  project,
  currency,
  usage_date,
  unit,
  sum(quantity) as quantity,
  sum(native_amount) as billed_for_it
from (
  select * from of_bills
  union all
  from of_use
  anti join of_bills using (connection, usage_date, price_id, currency)
)
group by all
