-- each {dimension} with a label that no other has, and its rank by dollars of the period; what comes after the last rank is
-- grouped
select
  id,
  connection,
  if(count(*) over (partition by name) > 1 and id is distinct from name, name || ' (' || concat_ws(', ', connection, id) || ')', name)
    as label,
  row_number() over (order by usd desc nulls last, usd_before desc, name, id, connection) as rank
from (
  select
    {dimension}.id as id,
    {dimension}.name as name,
    if({dimension}.id is distinct from {dimension}.name, connection, null) as connection,
    sum(dollars) filter (where usage_date >= $first) as usd,
    sum(dollars) as usd_before
  from billed
  group by all
)
