-- one row per connection, day and engine
select
  connection,
  usage_date,
  port_identifier(connection, engine || '-' || usage_date) as identifier,
  engine || ' on ' || usage_date as title,
  engine,
  coalesce(sum(frames), 0)::bigint as frames,
  sum(credits) as credits
from nimbus.renders
group by connection, usage_date, engine
