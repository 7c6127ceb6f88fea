-- every money of port_entities.ai_cost_record adds up to costs.daily_costs, natively and in dollars
-- sums: native_amount, amount_usd
-- by: cost_basis, native_unit, currency
-- total: concat(cost_basis, if(measure = 'amount_usd', ', in dollars', ''))
-- unit: if(measure = 'amount_usd', 'USD', concat_ws(' ', currency, native_unit))
from costs.daily_costs
