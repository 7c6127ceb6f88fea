-- days whose bill another connection holds, too. Usage that two connections store is known by their settings (models/same_use.py)
select
  'billed_twice' as check_name,
  connection,
  usage_date,
  'the bill of ' || coalesce(superseded_by, perhaps_by) || ' has it, too' as text
from ledger.superseded_days
where usage_date between $first and $last
  and (connection, usage_date) in (select (connection, usage_date) from costs.daily_costs where cost_basis = 'billed')
union all by name
select 'billed_twice' as check_name, connection, usage_date, min(service || ' of ' || accounts || ' is stored by ' || billed_by || ', too') as text
from costs.billed_twice
where accounts is not null and connection < billed_by and usage_date between $first and $last
group by all
order by all
