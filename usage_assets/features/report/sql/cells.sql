-- dollars of each item on the same days before and in the period, per {dimension}: the values whose sum changed most
with
largest as (
  select name
  from temp.main.names_{dimension}
  where dollars is not null or dollars_same_days_before is not null
  group by name
  order by abs(coalesce(sum(dollars), 0) - coalesce(sum(dollars_same_days_before), 0)) desc, name
  limit {most}
),
cells as (
  select
    {name} as name,
    connection,
    price_id,
    currency,
    project.id as project,
    kind,
    coalesce(sum(dollars) filter (where usage_date < $first), 0) as before,
    coalesce(sum(dollars) filter (where usage_date >= $first), 0) as now
  from temp.main.billed
  where (usage_date <= $before_same or usage_date >= $first) and {name} in (from largest)
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
