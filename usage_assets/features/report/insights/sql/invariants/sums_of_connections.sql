-- holds: What is expected of everything is the sum of what is expected of its connections
-- of: costs.forecast_totals
select
  format(
    '{}: ${:,.2f} is expected of everything, and ${:,.2f} of its connections (off by {:.2g})',
    strftime(month, '%B %Y'),
    (any_value(expected) filter (where kind = 'all'))::double,
    (sum(expected) filter (where kind = 'connection'))::double,
    (any_value(expected) filter (where kind = 'all') - sum(expected) filter (where kind = 'connection'))::double
  )
from forecast_totals
group by month
having bool_and(kind not in ('all', 'connection') or expected is not null)
  and any_value(expected) filter (where kind = 'all') <> sum(expected) filter (where kind = 'connection')
order by all
