-- title: What changed, and why
-- short: by, name, usd_change
-- note: The difference to the same days before, split exactly. Volume: more or less use of a unit in a connection. Mix: use that moved
--   between models, kinds of tokens and projects. Price: the same use at another price. New and gone: billed in one of the two
--   periods only. Seats are apart. Not split: taxes, fees, credits, refunds, and charges without a quantity. The parts are those of
--   a connection, price, unit, currency and project; the people and teams of one of these share them by what they were billed. The
--   query gives the amounts and quantities that this is computed from.
-- one row per item (what one connection bills under one price and currency in one project), period (is_now) and unit: its quantity,
-- and what was billed for that. An item without a quantity has one row. A quantity is the bill's own, or else the tokens and so on
-- that its costs were allocated by: bills of the same tokens, such as those of two context windows, share them by cost
with
billed as (
{billed}
),
costs as (
  select
    *,
    coalesce(project_id, workspace_id) as project,
{price_id} as price_id
  from costs.daily_costs as costs
  where cost_basis = 'billed'
    and amount_usd is not null
    and (usage_date between $before_first and $before_same or usage_date between $first and $last)
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
  from costs.allocated_costs as costs
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
),
used as (
  select
    connection,
    price_id,
    project,
    currency,
    usage_date >= $first as is_now,
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
),
amounts as (
  select
    connection,
    price_id,
    project.id as project,
    any_value(project.name) as project_name,
    currency,
    kind,
    any_value(provider) as provider,
    usage_date >= $first as is_now,
    sum(native_amount) as native_amount,
    sum(dollars) as usd
  from billed
  where usage_date <= $before_same or usage_date >= $first
  group by all
)
select
  amounts.connection,
  amounts.price_id,
  amounts.project,
  project_name,
  amounts.currency,
  kind,
  provider,
  amounts.is_now,
  usd,
  native_amount,
  unit,
  quantity,
  billed_for_it
from amounts
left join used
  on used.connection = amounts.connection
  and used.price_id = amounts.price_id
  and used.project is not distinct from amounts.project
  and used.currency = amounts.currency
  and used.is_now = amounts.is_now
