-- the providers and the users of a day add up to its total (within the proxy's own arithmetic: it adds up doubles)
select
  connection,
  usage_date,
  concat('spend by ', other) as total,
  sum(spend) filter (where cut = 'total') as expected,
  coalesce(sum(spend) filter (where cut = other), 0) as found
from litellm.user_activity
cross join (values ('provider'), ('user')) as cuts(other)
where cut in ('total', other)
group by connection, usage_date, other
having abs(expected - found) > count(*) * 0.000000000001
