-- costs.daily_costs holds every cent of cursor.usage_events that is billed, or the price of what a plan covers
-- sums: native_amount
-- by: cost_basis
-- total: cost_basis
-- unit: 'USD cents'
select
  connection,
  usage_date,
  if(charge = 'billed', 'billed', 'notional') as cost_basis,
  charged_cents as native_amount
from cursor.usage_events
where charge in ('billed', 'included') and charged_cents is not null
