-- one row per connection, day and what identifies an entity of costs (native), with an amount per cost basis. Dollars are null where an
-- amount that is not zero has no dollar value: a part must not look like all of it. What is billed is null, too, on a day
-- without a stored source that bills: a gateway bills nothing, and a bill may be switched off
select
  spent.* exclude (identified_by, called) replace (if(bills.connection is null, null, billed_usd) as billed_usd),
  path_identifier([connection] || identified_by || [usage_date::varchar]) as identifier,
  array_to_string([company] || called || [usage_date::varchar], ' - ') as title,
  usage_date || 'T00:00:00Z' as record_date
from (
  select
    * exclude (cost_basis, native_amount, amount_usd),
    dollars(list(amount_usd) filter (where cost_basis = 'billed' and native_amount <> 0)) as billed_usd,
    dollars(list(amount_usd) filter (where cost_basis = 'estimated' and native_amount <> 0)) as estimated_usd,
    dollars(list(amount_usd) filter (where cost_basis = 'notional' and native_amount <> 0)) as notional_usd,
    coalesce(sum(native_amount) filter (where cost_basis = 'credits'), 0) as credits
  from native
  group by all
) as spent
join accounting.providers using (provider)
left join (
  select distinct connection, usage_date
  from ledger.stored_days
  join accounting.cost_sources on source_table = slice
  where table_name = 'costs.daily_costs' and billed_totals is not null
) as bills using (connection, usage_date)
