-- one row per connection, day, engine, workspace and person; credits, which a rate gives dollars
select
  connection,
  'nimbus' as provider,
  usage_date,
  'nimbus.renders' as source_table,
  'credits' as cost_basis,
  sum(credits) as native_amount,
  'credits' as native_unit,
  null::varchar as currency,
  workspace_id,
  person_id as user_id,
  engine as line_item,
  '' as grouped_by
from nimbus.renders
group by connection, usage_date, engine, workspace_id, person_id
