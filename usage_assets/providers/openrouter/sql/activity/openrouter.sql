-- requests on each stored day, without those of own keys: their provider bills them
-- reads: costs.usage, ledger.stored_days
select
  connection,
  usage_date,
  'openrouter' as provider,
  'openrouter.activity' as source,
  'billed' as cost_basis,
  'thousand_requests' as metric,
  case when count(usage.provider) = count(requests) then 0.001 * coalesce(sum(requests), 0)::bigint end as quantity
from (from ledger.stored_days where table_name = 'openrouter.activity') as days
left join (from costs.usage where provider = 'openrouter') as usage using (connection, usage_date)
group by connection, usage_date
