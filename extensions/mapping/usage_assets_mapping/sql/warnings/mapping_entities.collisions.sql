-- each item of a day has an identifier of its own
-- says: {entities} identifiers of resource {resource} stand for {found} items of the day: {blueprint} {example}
-- do: Port shows the last item of each. Add what tells them apart to the identifier, or add them up: usage-assets port mapping check
select
  connection,
  usage_date,
  resource,
  any_value(blueprint) as blueprint,
  any_value(identifier) as example,
  count(*) as entities,
  sum(items)::bigint as found
from mapping.entities
where items > 1
group by connection, usage_date, resource
