left join (
-- one row per [[owner]]: the connections of it as a range, as the days are: all of them where none is stated
select
  kind,
  id,
  struct_pack(team := team, cost_center := cost_center) as owner,
  coalesce(connection, '') as first_connection,
  coalesce(connection, '~') as last_connection,
  valid_from,
  coalesce(valid_until, date '9999-12-31') as valid_until
from accounting.owners
) as owned_{kind}
  on owned_{kind}.kind = '{kind}'
  and owned_{kind}.id = {id}
  and named.connection between owned_{kind}.first_connection and owned_{kind}.last_connection
  and named.usage_date between owned_{kind}.valid_from and owned_{kind}.valid_until
