-- one row per id of a connection: what it is called now, or was when it was last listed, and whether it is a person's;
-- service_account_id: the service account that an API key belongs to
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
  'One row per connection, kind of id (project_id, workspace_id, user_id, api_key_id) and id that a lookup has listed: its last name'
