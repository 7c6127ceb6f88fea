-- costs.counted_costs, with the day on which a charge that recurs is due (recurring.sql). billed.sql and spent.sql read it
select
  costs.*,
  coalesce(list_max(list_filter(also_on, lambda each: day(usage_date) = least(each, day(last_day(usage_date))))), due_on) as due_on
from costs.counted_costs as costs
left join (
{recurring}
) as recurring
  on recurring.connection = costs.connection
  and recurring.source_table = costs.source_table
  and recurring.account is not distinct from coalesce(costs.project_id, costs.workspace_id)
  -- what is not billed does not recur. As a condition of its own, this made the join quadratic (DuckDB 1.5.5)
  and recurring.line_item = if(costs.cost_basis = 'billed', costs.line_item, null)
  and recurring.currency = costs.currency
  and recurring.is_stated = coalesce(costs.charge_frequency = 'Recurring', false)
where costs.usage_date between $first and $last
