-- one row per row of costs.daily_costs{by_key}, with what its ids are called; an id without a name is its own name: rows are
-- neither lost nor doubled
-- reads: costs.names, costs.daily_costs{by_key}
-- columns: costs.daily_costs{by_key}
-- column project_name: Name of the project when it was last listed; its id where no name is known
-- column workspace_name: Name of the workspace when it was last listed; its id where no name is known
-- column user_name: Name of the user when they were last listed; the id where none is known, or USAGE_PEOPLE keeps none
-- column user_email: Address of the user, as USAGE_PEOPLE wants it
-- column api_key_display_name: Name of the API key when it was last listed, otherwise as the source names it, otherwise its id
create or replace view costs.daily_costs{by_key}_named as
select * exclude (is_service_account, service_account_id)
from (
{with_names}
)
