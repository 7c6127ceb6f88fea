-- reads: openai.projects, openai.users, openai.service_accounts, openai.project_api_keys
select 'project_id' as kind, connection, id, name, valid_from from openai.projects
union all by name
select 'user_id' as kind, connection, id, name, email, is_service_account, valid_from from openai.users
union all by name
select 'user_id' as kind, connection, id, name, true as is_service_account, valid_from from openai.service_accounts
union all by name
select 'api_key_id' as kind, connection, id, name, owner_service_account_id as service_account_id, valid_from
from openai.project_api_keys
