-- reads: focus.charges
select
  'project_id' as kind,
  connection,
  sub_account_id as id,
  arg_max(sub_account_name, usage_date) as name,
  max(usage_date)::timestamp at time zone 'UTC' as valid_from
from focus.charges
where sub_account_id is not null
group by connection, sub_account_id
union all by name
select
  'provider' as kind,
  connection,
  'focus' as id,
  string_agg(distinct service_provider_name, ', ' order by service_provider_name) as name,
  max(usage_date)::timestamp at time zone 'UTC' as valid_from
from focus.charges
where left_out_rows is null
group by connection
