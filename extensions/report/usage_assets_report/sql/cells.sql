-- dollars of each item in the period before and in the period, per {dimension}: the values whose sum changed most
with
largest as (
  select name
  from temp.main.names_{dimension}
  where dollars is not null or dollars_same_days_before is not null
  group by name
  order by
    abs(coalesce(sum(dollars), 0) - coalesce(sum(dollars_not_compared), 0) - coalesce(sum(dollars_same_days_before), 0)) desc,
    name
  limit {most}
),
cells as (
  select
    {name} as name,
    billed.connection,
    billed.price_id,
    billed.currency,
    project_id as project,
    part as kind,
    coalesce(sum(dollars) filter (where not is_now), 0) as before,
    coalesce(sum(dollars) filter (where is_now), 0) as now
  from temp.main.billed as billed
  join (
    select
      connection,
      price_id,
      project as project_id,
      currency,
      charge_kind,
      usage_date,
      is_now,
      if(is_not_split, 'not_split', kind) as part
    from temp.main.item_days
  ) as days
    on days.connection = billed.connection
    and days.price_id = billed.price_id
    and days.currency is not distinct from billed.currency
    and days.project_id is not distinct from billed.project.id
    and days.charge_kind = billed.kind
    and days.usage_date = billed.usage_date
  where {name} in (from largest)
  group by all
)
select
  name,
  item,
  sum(before),
  sum(now)
from cells
join temp.main.splits
  on splits.connection = cells.connection
  and splits.price_id = cells.price_id
  and splits.currency is not distinct from cells.currency
  and splits.project is not distinct from cells.project
  and splits.kind = cells.kind
group by all
