-- amounts of port_entities.claude_ai_skill_usage are the minor units of anthropic_analytics.skills, per currency
-- minor_units: estimated_overage_spend, attributed_list_price
-- by: currency
-- nulls: unknown
select
  connection,
  usage_date,
  upper(coalesce(currency, 'USD')) as currency,
  estimated_overage_spend_cents as estimated_overage_spend,
  attributed_list_price_cents as attributed_list_price
from anthropic_analytics.skills
