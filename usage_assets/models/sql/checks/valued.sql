-- every amount has the dollars that its unit and the rate stated for it make of it (another arithmetic than valued.sql's,
-- near enough to tell a wrong unit), and none without a rate
-- says: {found} of {expected} amounts in {native_unit} have the dollars that their unit and rate make of them
with rated as (
  select
    stored.*,
    coalesce(credit_rates.usd_per_credit, exchange_rates.usd) as stated_rate,
    stated_rate::double / if(native_unit = 'minor units', pow(10, exchange_rates.minor_digits), 1) as rate_of_unit
  from costs.daily_costs as stored
  left join accounting.credit_rates
    on native_unit = 'credits'
    and credit_rates.workspace_id = stored.workspace_id
    and stored.usage_date >= credit_rates.valid_from
    and (credit_rates.valid_until is null or stored.usage_date <= credit_rates.valid_until)
  left join accounting.exchange_rates
    on native_unit in ('major units', 'minor units')
    and exchange_rates.currency = stored.currency
    and stored.usage_date >= exchange_rates.valid_from
    and (exchange_rates.valid_until is null or stored.usage_date <= exchange_rates.valid_until)
  where source_table = $part
),
amounts as (
  select
    *,
    native_amount as amount,
    amount_usd as usd
  from rated
  union all
  select
    *,
    effective_amount as amount,
    effective_usd as usd
  from rated
  where effective_amount is not null or effective_usd is not null
)
select
  connection,
  usage_date,
  native_unit,
  count(*) as expected,
  count(*) filter (
    where usd_rate is not distinct from stated_rate
    and case
      when amount is null then false
      when native_unit = 'dollars' then usd is not distinct from amount
      when native_unit = 'cents' then usd is not distinct from (amount * 0.01)::decimal(38, 24)
      when stated_rate is null then usd is null
      else coalesce(abs(usd::double - amount::double * rate_of_unit) <= 1e-9 * abs(usd::double) + 1e-23, false)
    end
  ) as found
from amounts
group by connection, usage_date, native_unit
having expected <> found
