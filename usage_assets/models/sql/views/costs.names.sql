-- one row per id of a connection: what it is called now, or was when it was last listed, and whether it is a person's;
-- service_account_id: the service account that an API key belongs to
-- column connection: Connection: one provider organization or ChatGPT workspace
-- column kind: provider, project_id, workspace_id, user_id or api_key_id: the column that has the id
-- column id: Id, as costs and usage name it
-- column name: Its last name; null: none, or USAGE_PEOPLE keeps none
-- column email: Address of the user, as USAGE_PEOPLE wants it; null: no person, or none stated
-- column is_service_account: Whether the user is a service account
-- column service_account_id: Service account that the API key belongs to; null: none
create or replace view costs.names as
with versions as (
{names}
)
select
  connection,
  kind,
  id,
  nullif(trim(name), '') as name,
  email,
  coalesce(is_service_account, false) as is_service_account,
  service_account_id
from versions
qualify row_number() over (partition by kind, connection, id order by valid_from desc) = 1;

comment on view costs.names is
  'One row per connection, kind of id (provider, project_id, workspace_id, user_id, api_key_id) and id: its last name, listed by a lookup or stated in a bill'
