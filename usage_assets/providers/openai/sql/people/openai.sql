-- people who sent requests to OpenAI; nobody on a stored day without any. A service account is no person
-- reads: costs.usage, costs.names, ledger.stored_days
select
  connection,
  usage_date,
  'openai' as provider,
  'openai.usage_*' as source,
  user_id as person
from (
  select connection, usage_date
  from ledger.stored_days
  where table_name like 'openai.usage_%'
  group by connection, usage_date
  qualify count(*) = max(count(*)) over (partition by connection)
)
left join (
  select distinct connection, usage_date, user_id
  from costs.usage
  anti join (
    select connection, id as user_id
    from costs.names
    where kind = 'user_id' and is_service_account
  ) using (connection, user_id)
  where provider = 'openai' and user_id is not null
) using (connection, usage_date)
