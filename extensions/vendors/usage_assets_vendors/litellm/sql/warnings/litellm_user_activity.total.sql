-- the models, the providers and the users of a day add up to its total (within the proxy's own arithmetic: it adds up doubles; models
-- may have less, if requests of the day have no model, as those of MCP tools)
-- says: the spend by {other} adds up to {found}, and the proxy's total of the day is {expected} ({difference} apart)
-- do: The difference to the models is a cost without a model. The usual reason is spend without a model, key or provider: look for it
--   in LiteLLM's logs
-- settled: litellm.user_activity
select
  connection,
  usage_date,
  other,
  'USD' as unit,
  sum(spend) filter (where cut = 'total') as expected,
  coalesce(sum(spend) filter (where cut = other), 0) as found
from litellm.user_activity
cross join (values ('model'), ('provider'), ('user')) as cuts(other)
where cut in ('total', other)
group by connection, usage_date, other
having abs(expected - found) > count(*) * 0.000000000001
  and not (
    other = 'model'
    and found < expected
    and coalesce(sum(api_requests) filter (where cut = other), 0) < sum(api_requests) filter (where cut = 'total')
  )
