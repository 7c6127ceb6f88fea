-- budgets of Copilot, in whole dollars a month. Those of other products are no AI, those of licences count seats. In an enterprise's
-- list, its own budget is that of the connection, and an organization is a part of it
-- reads: github_copilot.budgets
select
  connection,
  'github_copilot.budgets' as source,
  case
    when enterprise is null then budget_scope
    when budget_scope = 'enterprise' then 'organization'
    when budget_scope = 'organization' then 'organization_of_enterprise'
    else budget_scope
  end as scope_type,
  coalesce("user", budget_entity_name) as scope_id,
  'month' as period,
  'USD' as currency,
  budget_amount::decimal(36, 2) * 100 as minor_units,
  prevent_further_usage as enforced
from github_copilot.budgets
where valid_to is null
  and regexp_matches(lower(budget_product_sku), 'copilot|ai_credit|premium_request')
  and not regexp_matches(lower(budget_product_sku), 'business|enterprise|standalone|seat|licen')
