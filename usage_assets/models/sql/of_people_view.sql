-- reads: costs.allocated_costs{by_key}_named, costs.people
create or replace view costs.allocated_costs{by_key}_of_people as
{of_people};

comment on view costs.allocated_costs{by_key}_of_people is
  'Every cost once, as in costs.allocated_costs{by_key}_named, with the person that it is for in all connections'
