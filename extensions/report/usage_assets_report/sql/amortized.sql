-- title: Cash and amortized
-- short: {connection}: {cash:unit} cash, {amortized:unit} amortized
-- note: Cash is what is billed. Amortized spreads prepaid charges, such as a commitment, over their use: it is the effective cost, which only
--   bills from files state. Of every other charge, what is billed counts: that part is only billed. Never add the two.
with
costs as (
  select
    connection,
    billed_usd is not null and amortized_usd is not null as is_valued,
    case
      when is_valued then 'USD'
      when native_unit = 'minor units' then 'minor units of ' || coalesce(currency, 'an unknown currency')
      else coalesce(currency, native_unit)
    end as unit,
    if(is_valued, billed_usd, billed_amount) as cash,
    if(is_valued, amortized_usd, amortized_amount) as amortized,
    if(is_valued, only_billed_usd, only_billed_amount) as only_billed,
    connection in (
      select connection
      from costs.amortized
      where usage_date between $first and $last
        and (billed_amount <> amortized_amount or amortized_amount <> only_billed_amount)
    ) as is_stated
  from costs.amortized
  where usage_date between $first and $last
)
select
  if(is_stated, connection, 'all others') as connection,
  unit,
  sum(cash)::decimal(38, 24) as cash,
  sum(amortized)::decimal(38, 24) as amortized,
  sum(only_billed)::decimal(38, 24) as of_it_only_billed
from costs
where exists (from costs where is_stated)
group by is_stated, if(is_stated, connection, 'all others'), unit
order by is_stated desc, connection, unit <> 'USD', unit
