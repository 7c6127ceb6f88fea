-- reads: cursor.members, cursor.usage_events
select 'user_id' as kind, connection, id, name, id as email, valid_from from cursor.members
union all by name
select
  'user_id' as kind,
  connection,
  service_account_id as id,
  arg_max(service_account_name, usage_date) as name,
  true as is_service_account,
  max(usage_date)::timestamp at time zone 'UTC' as valid_from
from cursor.usage_events
where service_account_id is not null
group by connection, service_account_id
