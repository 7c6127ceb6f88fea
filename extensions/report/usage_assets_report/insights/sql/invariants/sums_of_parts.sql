-- holds: What is expected of everything is the sum of what is expected of its connections, and that of its teams. A team's share is
--   rounded to a billionth each day
-- of: costs.forecast_totals
with
parts as (
  select
    month,
    kind,
    sum(settled + provisional) as billed,
    sum(expected) as expected,
    if(kind = 'team', 0.000001, 0) as tolerated
  from forecast_totals
  where kind in ('connection', 'team')
  group by month, kind
  having bool_and(expected is not null)
)
select
  format(
    '{}: ${:,.2f} is expected of everything, and ${:,.2f} of its {}s (off by {:.2g})',
    strftime(whole.month, '%B %Y'),
    whole.expected::double,
    parts.expected::double,
    parts.kind,
    (whole.expected - parts.expected)::double
  )
from forecast_totals as whole
join parts using (month)
where whole.kind = 'all'
  and whole.settled + whole.provisional = parts.billed  -- the smallest of many are not forecast
  and abs(whole.expected - parts.expected) > tolerated
order by all
