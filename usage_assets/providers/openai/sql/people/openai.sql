-- people who sent requests to OpenAI; nobody on a stored day without any. A service account is no person
-- reads: costs.usage, costs.names, ledger.stored_days
select
  connection,
  usage_date,
  'openai' as provider,
  'openai.usage_*' as source,
  case when not coalesce(is_service_account, false) then user_id end as person
from (
  select connection, usage_date
  from ledger.stored_days
  where table_name like 'openai.usage_%'
  group by connection, usage_date
  qualify count(*) = max(count(*)) over (partition by connection)
)
left join (from costs.usage where provider = 'openai') using (connection, usage_date)
left join (select connection, id as user_id, is_service_account from costs.names where kind = 'user_id') using (connection, user_id)
