-- what one scope spent per day, source and day on which it is due again, in one unit: billed and valued in USD, billed in
-- another currency, or credits
-- reads: costs.counted_costs, costs.daily_costs
select
  usage_date,
  connection,
  source_table,
  due_on,
  if(native_unit = 'minor units' and $unit <> 'USD', 'minor units', '') as scale,
  sum(if($unit = 'USD', amount_usd, native_amount)) as amount
from (
{charges}
)
where counted_in = $unit
  and (
    $kind = 'all'
    or ($kind = 'model' and $id = family)
    or $id = case $kind
      when 'connection' then connection
      when 'team' then team
      when 'project' then project_id
      when 'workspace' then workspace_id
      when 'user' then user_id
      when 'model' then model
      when 'api_key' then coalesce(api_key_id, api_key_name)
    end
  )
group by all
order by all
