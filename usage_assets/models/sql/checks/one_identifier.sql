-- each identifier of {table} is that of one row, of all days and connections: Port would take the others for the same entity
select
  connection,
  usage_date,
  'rows of an identifier' as total,
  1 as expected,
  found
from (
  select connection, usage_date, count(*) over (partition by identifier) as found
  from {table}
)
where found > 1
