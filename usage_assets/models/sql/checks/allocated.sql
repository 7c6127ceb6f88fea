-- costs.allocated_costs holds all that costs.daily_costs says is billed by the source, natively and in dollars
-- sums: native_amount, amount_usd
-- by: native_unit, currency
-- total: concat('billed', if(measure = 'amount_usd', ', in dollars', ''))
-- unit: if(measure = 'amount_usd', 'USD', concat_ws(' ', currency, native_unit))
from costs.daily_costs
where cost_basis = 'billed' and source_table = $part
