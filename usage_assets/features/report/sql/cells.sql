-- dollars of each item on the same days before and in the period, per value of {column}: the values whose sum changed most
with
cells as (
  select
    {column} as name,
    connection,
    price_id,
    currency,
    project.id as project,
    kind,
    coalesce(sum(dollars) filter (where usage_date < $first), 0) as before,
    coalesce(sum(dollars) filter (where usage_date >= $first), 0) as now
  from temp.main.billed
  where usage_date <= $before_same or usage_date >= $first
  group by all
),
largest as (
  select name
  from cells
  group by name
  order by abs(sum(now) - sum(before)) desc, name
  limit {most}
)
select
  largest.name,
  connection,
  price_id,
  currency,
  project,
  kind,
  sum(before),
  sum(now)
from cells
join largest on largest.name = cells.name
group by all
