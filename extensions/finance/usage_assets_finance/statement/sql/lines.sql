-- one row per line of a statement before costs are shared: cost center, team, connection, project, person, model, currency and unit
select
  cost_center,
  shared_by,
  team,
  provider,
  connection,
  project,
  person,
  model,
  currency,
  native_unit,
  sum(amount) as amount
from temp.main.billed
group by all
order by all
