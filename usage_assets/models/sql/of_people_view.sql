-- reads: costs.allocated_costs{by_key}_named, costs.people
-- columns: costs.allocated_costs{by_key}_named
-- column person_id: Person in all connections: an address, or provider and id; of others, connection and actor_id
-- column person_name: Name of the person where the policies of all their connections keep it, otherwise an id; of others, actor_name
create or replace view costs.allocated_costs{by_key}_of_people as
{of_people};

comment on view costs.allocated_costs{by_key}_of_people is
  'Every cost once, as in costs.allocated_costs{by_key}_named, with the person that it is for in all connections'
