-- every money of port_entities.ai_cost_record adds up to costs.daily_costs, natively and in dollars
-- sums: native_amount, amount_usd
-- by: cost_basis, native_unit, currency
-- total: concat_ws(' ', cost_basis, native_unit, currency, measure)
from costs.daily_costs
