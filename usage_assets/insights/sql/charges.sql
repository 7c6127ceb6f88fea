-- costs.counted_costs, with the day on which a charge that recurs is due (recurring.sql). billed.sql and spent.sql read it
select costs.*, recurring.due_on
from costs.counted_costs as costs
left join (
{recurring}
) as recurring
  on recurring.connection = costs.connection
  and recurring.source_table = costs.source_table
  and recurring.account is not distinct from coalesce(costs.project_id, costs.workspace_id)
  and recurring.line_item = costs.line_item
  and recurring.currency = costs.currency
  and recurring.is_stated = coalesce(costs.charge_frequency = 'Recurring', false)
  and costs.cost_basis = 'billed'
where costs.usage_date between $first and $last
