-- reads: anthropic.spend_limits
select
  connection,
  'anthropic.spend_limits' as source,
  scope_type,
  coalesce(user_id, workspace_id, rbac_group_id, seat_tier, service) as scope_id,
  case period when 'daily' then 'day' when 'weekly' then 'week' when 'monthly' then 'month' else period end as period,
  upper(currency) as currency,
  amount as minor_units,
  is_enabled as enforced
from anthropic.spend_limits
where valid_to is null
