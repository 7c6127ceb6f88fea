-- requests; unknown where a row lacks them. Storage and sessions of code are no requests
-- reads: costs.usage
select
  connection,
  usage_date,
  source,
  'thousand_requests' as metric,
  case when count(used) = count(requests) then 0.001 * coalesce(sum(requests), 0)::bigint end as quantity
from (from complete where source = 'openai.usage_*')
left join (
  select *, true as used
  from costs.usage
  where provider = 'openai' and coalesce(usage_bytes, sessions) is null
) using (connection, usage_date)
group by connection, usage_date, source
