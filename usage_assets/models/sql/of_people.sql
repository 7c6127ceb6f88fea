-- one row per row of costs.allocated_costs{by_key}_named, with the person that it is for, the same in all connections. A service account
-- and an API key are those of their connection
-- reads: costs.allocated_costs{by_key}_named, costs.people
create or replace view costs.allocated_costs{by_key}_of_people as
select
  costs.*,
  coalesce(people.person_id, costs.connection || ':' || actor_id) as person_id,
  coalesce(people.person_name, actor_name) as person_name
from costs.allocated_costs{by_key}_named as costs
left join costs.people as people
  on people.connection = costs.connection
  and people.id = if(costs.actor_kind = 'api_key', null, costs.actor_id);

comment on view costs.allocated_costs{by_key}_of_people is
  'Every cost once, as in costs.allocated_costs{by_key}_named, with the person that it is for in all connections'
