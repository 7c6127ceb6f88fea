-- one row per connection, day and what identifies an entity of costs (native), with an amount per cost basis. Dollars are null where an
-- amount that is not zero has no dollar value: a part must not look like all of it. What is billed is null, too, on a day
-- without a stored source that bills (a gateway bills nothing, and a bill may be switched off), and of whom a bill does not name
-- that bills something to nobody: their part of that is unknown
select
  spent.* exclude (identified_by, called, is_billed, bills_nobody) replace (
    if(bills.connection is null or bills_nobody and not is_billed, null, billed_usd) as billed_usd
  ),
  path_identifier([connection] || identified_by || [usage_date::varchar]) as identifier,
  array_to_string([company] || called || [usage_date::varchar], ' - ') as title,
  usage_date || 'T00:00:00Z' as record_date
from (
  select
    * exclude (cost_basis, native_amount, amount_usd),
    dollars(list(amount_usd) filter (where cost_basis = 'billed' and native_amount <> 0)) as billed_usd,
    dollars(list(amount_usd) filter (where cost_basis = 'estimated' and native_amount <> 0)) as estimated_usd,
    dollars(list(amount_usd) filter (where cost_basis = 'notional' and native_amount <> 0)) as notional_usd,
    coalesce(sum(native_amount) filter (where cost_basis = 'credits'), 0) as credits,
    bool_or(cost_basis = 'billed') as is_billed
  from (
    select
      *,
      bool_or(cost_basis = 'billed' and native_amount <> 0 and identified_by = [null]) over (
        partition by connection, usage_date
      ) as bills_nobody
    from native
  )
  group by all
) as spent
join accounting.providers using (provider)
left join (
  select distinct connection, usage_date
  from ledger.stored_days
  join accounting.cost_sources on source_table = slice
  where table_name = 'costs.daily_costs' and billed_totals is not null
) as bills using (connection, usage_date)
