-- what one scope spent per day in one unit: billed money of a currency, or credits
-- reads: costs.allocated_costs_named
select
  usage_date,
  array_agg(distinct connection) as connections,
  case native_unit when 'minor units' then 'minor units' else '' end as scale,
  sum(if(currency = 'USD', amount_usd, native_amount)) as amount
from costs.allocated_costs_named
where usage_date between $first and $last
  and if($unit = 'credits', cost_basis = 'credits', cost_basis = 'billed' and currency = $unit)
  and (
    $kind = 'all'
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
