-- the rows of {source} with what their ids are called, whether the user is a service account, and that of the API key
select
  costs.*,
  coalesce(projects.name, costs.project_id) as project_name,
  coalesce(workspaces.name, costs.workspace_id) as workspace_name,
  coalesce(users.name, costs.user_id) as user_name,
  users.email as user_email,
  coalesce(api_keys.name, costs.api_key_name, costs.api_key_id) as api_key_display_name,
  users.is_service_account,
  api_keys.service_account_id
from {source} as costs
left join costs.names as projects
  on projects.kind = 'project_id'
  and projects.connection = costs.connection
  and projects.id = costs.project_id
left join costs.names as workspaces
  on workspaces.kind = 'workspace_id'
  and workspaces.connection = costs.connection
  and workspaces.id = costs.workspace_id
left join costs.names as users
  on users.kind = 'user_id'
  and users.connection = costs.connection
  and users.id = costs.user_id
left join costs.names as api_keys
  on api_keys.kind = 'api_key_id'
  and api_keys.connection = costs.connection
  and api_keys.id = costs.api_key_id
