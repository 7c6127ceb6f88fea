-- title: People with idle seats
-- short: {person}, {connection}: [{price_a_month:currency} a month|price unknown][, last active {last_active_on}]
-- note: As the list of seats names them. Where seats are only counted, nobody is named. A person may use another provider's seat.
select
  person_name as person,
  connection,
  plan,
  last_active_on,
  assigned_on,
  price as price_a_month,
  currency,
  price_usd as usd_a_month,
  concat_ws('; ', reason, price_reason) as remarks
from costs.seats($last)
where state = 'idle' and id is not null
order by price_usd desc nulls last, person, connection
