-- each {dimension} with a label that no other has, what it was billed in the period, how much of this on days that are not compared,
-- and on the days before that are (costs.compared_days), and its rank; what comes after the last rank is grouped. A team, a cost
-- center and a person are the same in all connections, an id only where none has a name for it
select
  id,
  name,
  connection,
  if(
    (count(*) over (partition by lower(name)) > 1 and (connection is not null or id is distinct from name))
      or name = 'other {several}',
    name || ' (' || concat_ws(
      ', ',
      connection,
      if(connection is null or count(*) over (partition by lower(name), connection) > 1, id, null)
    ) || ')',
    name
  ) as label,
  dollars,
  dollars_not_compared,
  dollars_same_days_before,
  row_number() over (order by dollars desc nulls last, dollars_in_all desc, name, id, connection) as rank
from (
  select
    id,
    name,
    if(is_named and '{dimension}' not in ('person', 'cost_center'), connection, null) as connection,
    sum(dollars) as dollars,
    sum(dollars_not_compared) as dollars_not_compared,
    sum(dollars_same_days_before) as dollars_same_days_before,
    sum(dollars_in_all) as dollars_in_all
  from (
    select
      {id} as id,
      {name} as name,
      connection,
      sum(dollars) filter (where usage_date >= $first) as dollars,
      sum(dollars) filter (where usage_date >= $first and comparison is not null) as dollars_not_compared,
      sum(dollars) filter (where usage_date <= $before_same and comparison is null) as dollars_same_days_before,
      sum(dollars) as dollars_in_all,
      bool_or({id} is distinct from {name}) over (partition by {id}) as is_named
    from billed
    group by {dimension}, connection
  )
  group by all
)
