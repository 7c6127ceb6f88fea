-- requests, without those of own keys: their provider bills them
-- reads: costs.usage
select
  connection,
  usage_date,
  source,
  cost_basis,
  'thousand_requests' as metric,
  case when count(used) = count(requests) then 0.001 * coalesce(sum(requests), 0)::bigint end as quantity
from (from complete where source = 'openrouter.activity')
left join (select *, true as used from costs.usage where provider = 'openrouter') using (connection, usage_date)
group by connection, usage_date, source, cost_basis
