-- reads: openai.spend_limits
select
  connection,
  'openai.spend_limits' as source,
  if(project_id is null, 'organization', 'project') as scope_type,
  project_id as scope_id,
  interval as period,
  upper(currency) as currency,
  threshold_amount as minor_units,
  enforcement_status = 'enforcing' as enforced
from openai.spend_limits
where valid_to is null
