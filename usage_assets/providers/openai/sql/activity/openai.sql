-- requests; unknown where a row lacks them
-- reads: costs.usage
select
  connection,
  usage_date,
  source,
  'thousand_requests' as metric,
  case
    when bool_and(requests is not null or coalesce(input_tokens, images, characters, seconds) is null)
      then 0.001 * coalesce(sum(requests), 0)::bigint
  end as quantity
from (from complete where source = 'openai.usage_*')
left join (from costs.usage where provider = 'openai') using (connection, usage_date)
group by connection, usage_date, source
