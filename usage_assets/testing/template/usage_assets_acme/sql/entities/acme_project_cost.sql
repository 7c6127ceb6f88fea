-- one row per connection, day and project
select
  connection,
  usage_date,
  port_identifier(connection, coalesce(project_id, 'none') || '-' || usage_date) as identifier,
  coalesce(project_id, 'no project') || ' on Acme' as title,
  coalesce(project_id, 'none') as project,
  usage_date::varchar as date,
  coalesce(sum(requests), 0)::bigint as requests,
  sum(cost) as cost
from acme.usage
group by connection, usage_date, project_id
