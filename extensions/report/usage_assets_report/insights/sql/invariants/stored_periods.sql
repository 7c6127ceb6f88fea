-- holds: The settled and the provisional part of a budget add up to what is stored of its period. Of amounts that are converted to whole
--   units of a currency, to the ninth decimal place
-- of: costs.budget_status
with spent as (
  select source, budget, kind, id, first_day, coalesce(sum(amount_of_day), 0) as stored_amount
  from budget_status
  left join days_of_periods using (source, budget, kind, id, first_day)
  group by all
)
select
  format(
    'budget {}, {} to {}: {:,.2f} {} settled and {:,.2f} provisional are not the {:,.2f} that are stored (off by {:.2g})',
    budget,
    first_day,
    last_day,
    settled::double,
    unit,
    provisional::double,
    stored_amount::double,
    (settled + provisional - stored_amount)::double
  )
from budget_status
join spent using (source, budget, kind, id, first_day)
where abs(settled + provisional - stored_amount) > if(unit in ('USD', 'credits'), 0, 0.000000001)
order by all
