-- requests, and the dollars of rows whose requests are unknown: a row may have requests with an own key and requests on credits (or a
-- fee for the own key)
-- reads: openrouter.activity
select
  connection,
  usage_date,
  source,
  cost_basis,
  'thousand_requests' as metric,
  case
    when count(model) filter (where is_known) = count(requests) filter (where is_known)
      then 0.001 * coalesce(sum(requests) filter (where is_known), 0)::bigint
  end as quantity,
  coalesce(sum(usage) filter (where not is_known), 0) as left_out_usd,
  'own keys and credits in one row' as left_out_reason
from (from complete where source = 'openrouter.activity')
left join (select *, coalesce(byok_usage_inference, 0) = 0 as is_known from openrouter.activity)
  using (connection, usage_date)
group by connection, usage_date, source, cost_basis
