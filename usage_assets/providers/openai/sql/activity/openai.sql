-- requests on each day of which every usage report is stored that the connection has; unknown where a row lacks them
-- reads: costs.usage, ledger.stored_days
select
  connection,
  usage_date,
  'openai' as provider,
  'openai.usage_*' as source,
  'thousand_requests' as metric,
  case
    when bool_and(requests is not null or coalesce(input_tokens, images, characters, seconds) is null)
      then 0.001 * coalesce(sum(requests), 0)::bigint
  end as quantity
from (
  select connection, usage_date
  from ledger.stored_days
  where table_name like 'openai.usage_%'
  group by connection, usage_date
  qualify count(*) = max(count(*)) over (partition by connection)
)
left join (from costs.usage where provider = 'openai') using (connection, usage_date)
group by connection, usage_date
