-- one row per row of {source}, with the person that it is for, the same in all connections. A service account and an API key are those
-- of their connection
select
  costs.*,
  coalesce(people.person_id, costs.connection || ':' || actor_id) as person_id,
  coalesce(people.person_name, actor_name) as person_name
from {source} as costs
left join costs.people as people
  on people.connection = costs.connection
  and people.id = if(costs.actor_kind = 'api_key', null, costs.actor_id)
