-- every amount has the dollars that its unit and the rate stated for it make of it (another arithmetic than valued.sql's,
-- near enough to tell a wrong unit), and none without a rate
-- says: {found} of {expected} amounts in {native_unit} have the dollars that their unit and rate make of them
with rated as (
  select
    stored.*,
    coalesce(credit_rates.usd_per_credit, exchange_rates.usd) as stated_rate,
    case
      when stated_rate is not null then
        native_amount::double * stated_rate::double
          / case when native_unit = 'minor units' then pow(10, exchange_rates.minor_digits) else 1 end
    end as about
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
)
select
  connection,
  usage_date,
  native_unit,
  count(*) as expected,
  count(*) filter (
    where usd_rate is not distinct from stated_rate
    and case
      when native_unit = 'dollars' then amount_usd is not distinct from native_amount
      when native_unit = 'cents' then amount_usd is not distinct from (native_amount * 0.01)::decimal(38, 24)
      when stated_rate is null then amount_usd is null
      else coalesce(abs(amount_usd::double - about) <= 1e-9 * abs(about) + 1e-23, false)
    end
  ) as found
from rated
group by connection, usage_date, native_unit
having expected <> found
