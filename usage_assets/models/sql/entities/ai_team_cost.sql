-- one row per connection, day and team; all rows of a day add up to its costs. Dollars are null where an amount that is
-- not zero has no dollar value: a part must not look like all of it
with
-- Claude Code estimates: where the bill itself is switched off, it is unknown and not zero
billed as (
  select distinct connection, usage_date
  from ledger.stored_days
  where table_name = 'costs.daily_costs' and slice <> 'anthropic.claude_code'
),
spent as (
  select
    connection,
    usage_date,
    provider,
    team,
    dollars(list(amount_usd) filter (where cost_basis = 'billed' and native_amount <> 0)) as billed_usd,
    dollars(list(amount_usd) filter (where cost_basis = 'estimated' and native_amount <> 0)) as estimated_usd,
    dollars(list(amount_usd) filter (where cost_basis = 'notional' and native_amount <> 0)) as notional_usd,
    coalesce(sum(native_amount) filter (where cost_basis = 'credits'), 0) as credits
  from costs.by_team
  group by connection, usage_date, provider, team
)
select
  connection,
  usage_date,
  path_identifier([connection, team, usage_date::varchar]) as identifier,
  concat_ws(' - ', company, team, usage_date) as title,
  usage_date || 'T00:00:00Z' as record_date,
  provider,
  team,
  if(billed.connection is null, null, billed_usd) as billed_usd,
  estimated_usd,
  notional_usd,
  credits
from spent
join accounting.providers using (provider)
left join billed using (connection, usage_date)
