-- requests of port_entities.claude_ai_user_cost add up to anthropic_analytics.user_cost_report, per currency
-- sums: requests
-- by: currency
-- total: concat('requests that cost ', currency)
-- nulls: unknown
select * replace (upper(currency) as currency)
from anthropic_analytics.user_cost_report
