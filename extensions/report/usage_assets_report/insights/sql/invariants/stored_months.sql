-- holds: The settled and the provisional part of a month add up to what is stored
-- of: costs.forecast_totals
with scopes as (
  select kind, id, month, coalesce(sum(amount), 0) as amount
  from forecast_totals
  left join stored
    on unit = 'USD'
    and date_trunc('month', usage_date) = month
    and (kind = 'all' or id = case kind when 'connection' then connection when 'team' then team end)
  group by all
)
select
  format(
    '{}, {}: ${:,.2f} settled and ${:,.2f} provisional are not the ${:,.2f} that are stored (off by {:.2g})',
    if(kind = 'all', 'everything', kind || ' ' || id),
    strftime(month, '%B %Y'),
    settled::double,
    provisional::double,
    amount::double,
    (settled + provisional - amount)::double
  )
from forecast_totals
join scopes using (kind, id, month)
where settled + provisional <> amount
order by all
