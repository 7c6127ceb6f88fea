-- costs.gateway_tags reads these before costs are computed of them
-- reads: litellm.user_activity, litellm.tag_activity_by_model
select 'litellm' as provider, model
from litellm.user_activity
union all by name
select 'litellm' as provider, model
from litellm.tag_activity_by_model
