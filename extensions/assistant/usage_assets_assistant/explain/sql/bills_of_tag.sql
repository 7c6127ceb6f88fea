-- the rows of costs.allocated_costs_named that one row of costs.by_tag has parts of, or all of where nothing is split
select bills.*
from costs.allocated_costs_named as bills
left join costs.tag_shares as shares
  on shares.connection = bills.connection
  and shares.usage_date = bills.usage_date
  and shares.model = bills.model
  and shares.api_key_id is not distinct from bills.api_key_id
  and bills.cost_basis = 'billed'
where bills.connection = $connection
  and bills.provider = $provider
  and bills.usage_date = $usage_date
  and bills.model is not distinct from $model
  and bills.cost_basis = $cost_basis
  and bills.native_unit = $native_unit
  and bills.currency is not distinct from $currency
  and shares.tag_family is not distinct from $tag_family
  and shares.tag is not distinct from $tag
  and shares.tag_allocation is not distinct from $tag_allocation
