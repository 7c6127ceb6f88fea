-- the report names whom it bills. Where another connection bills, its lookups name them
-- reads: anthropic_analytics.cost, ledger.partition_versions
select
  'user_id' as kind,
  connection,
  coalesce(actor_user_id, actor_service_account_id) as id,
  arg_max(actor_name, usage_date) as name,
  arg_max(if(contains(actor_email, '@'), actor_email, null), usage_date) as email,
  bool_and(actor_user_id is null) as is_service_account,
  max(usage_date)::timestamp at time zone 'UTC' as valid_from
from anthropic_analytics.cost
semi join (
  from ledger.partition_versions
  where table_name = 'costs.daily_costs' and slice = 'anthropic_analytics.cost' and row_count > 0
) using (connection)
where actor_user_id is not null or actor_service_account_id is not null
group by connection, coalesce(actor_user_id, actor_service_account_id)
