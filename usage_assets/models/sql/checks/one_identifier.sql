-- each identifier of {table} is that of one row, of all days and connections: Port would take the others for the same entity
-- says: {found} rows have the identifier {identifier}, and Port would keep one of them
select
  connection,
  usage_date,
  identifier,
  found
from (
  select connection, usage_date, identifier, count(*) over (partition by identifier) as found
  from {table}
)
where found > 1
