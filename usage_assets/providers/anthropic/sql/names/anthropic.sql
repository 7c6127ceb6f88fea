-- reads: anthropic.workspaces, anthropic.users, anthropic.api_keys
select 'workspace_id' as kind, connection, id, name, valid_from from anthropic.workspaces
union all by name
select 'user_id' as kind, connection, id, name, email, valid_from from anthropic.users
union all by name
select
  'api_key_id' as kind,
  connection,
  id,
  name,
  coalesce(principal_service_account_id, if(principal_type = 'service_account', principal_id, null)) as service_account_id,
  valid_from
from anthropic.api_keys
