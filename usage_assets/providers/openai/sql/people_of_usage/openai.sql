-- people who sent requests to OpenAI; a service account is no person. Not in people/: costs.people has all users of costs.usage
-- reads: costs.usage, costs.names
select connection, usage_date, 'openai.usage_*' as source, person
from (select distinct connection, usage_date, user_id as person from costs.usage where provider = 'openai')
anti join (
  select connection, id as person
  from costs.names
  where kind = 'user_id' and is_service_account
) using (connection, person)
