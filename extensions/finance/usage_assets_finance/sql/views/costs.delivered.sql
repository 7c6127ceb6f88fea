-- where each amount is that a bill of files delivered: delivered = charged + left_out + not_stored + difference, and difference is 0 or
-- something is wrong. Of the delivery that was read last; what is stored of an earlier one is in not_delivered. delivered is null where
-- an earlier release has read the set
-- reads: ledger.bill_amounts, ledger.bill_days, ledger.bill_states, ledger.assets
-- column connection: Connection
-- column table_name: Table that the day is stored in
-- column set_name: Set of files, as in ledger.bill_sets
-- column usage_date: UTC day on which the charges begin
-- column currency: Currency, ISO 4217
-- column delivered: What the set bills [currency units; billed; within currency]
-- column charged: What is stored of it, and counts in costs.daily_costs [currency units; billed; within currency]
-- column left_out: What is stored of services that the connection does not take [currency units; billed; within currency]
-- column not_stored: What is not stored, for the reason that is named [currency units; billed; within currency]
-- column not_delivered: What is stored, and is not in the newest delivery [currency units; billed; within currency]
-- column difference: What is missing without a reason (above 0) or stored and not delivered (below)
--   [currency units; billed; within currency]
-- column reason: Why something is not stored, or stored and not delivered
create or replace view costs.delivered as
with
stored_rows as (
{bill_rows}
),
covering as (
  select connection, table_name, usage_date, any_value(set_name) as covered_by
  from ledger.bill_days
  where covers and stored is not null
  group by all
),
stored as (
  select
    connection,
    table_name,
    coalesce(set_name, covered_by, '') as set_name,
    usage_date,
    currency,
    coalesce(sum(charged), 0) as charged,
    coalesce(sum(left_out), 0) as left_out
  from stored_rows
  left join covering using (connection, table_name, usage_date)
  group by all
),
sets as (
  select
    connection,
    table_name,
    set_name,
    usage_date,
    bool_or(said is not null) as is_delivered,
    bool_or(said is not null and said is not distinct from stored) as is_current,
    bool_or(said is not null and covers) as covers
  from ledger.bill_days
  group by all
),
twice as (
  select connection, table_name, usage_date, count(*) as covering_sets
  from sets
  where covers
  group by all
),
known as (
  select distinct connection, table_name, set_name, true as is_known
  from ledger.bill_amounts
),
states as (
  select connection, table_name, set_name, usage_date, any_value(because) as because, bool_or(waits) as waits
  from ledger.bill_states
  group by all
),
assets as (
  select
    connection,
    table_name,
    greatest(first_day, (date_trunc('month', today) - to_months(kept_months::integer))::date) as first_day,
    today - if(includes_today, 0, 1) as last_day
  from ledger.assets, (select (coalesce(getvariable('usage_now')::timestamptz, now()) at time zone 'UTC')::date as today)
  where query is null
),
days as (
  select
    connection,
    table_name,
    set_name,
    usage_date,
    currency,
    coalesce(amount, 0) as delivered,
    coalesce(charged, 0) as charged,
    coalesce(left_out, 0) as left_out,
    coalesce(is_delivered, false) as is_delivered,
    coalesce(is_current, false) as is_current,
    sets.set_name is not null as is_noted,
    coalesce(is_known, false) as is_known,
    case
      when because is not null then because
      when assets.first_day is null then 'the connection is not configured any more'
      when usage_date < assets.first_day then 'before the first day of the connection'
      when usage_date > assets.last_day then 'the day is not over'
      when covering_sets > 1 then 'two sets cover the day'
      else 'due'
    end as because
  from ledger.bill_amounts
  full join stored using (connection, table_name, set_name, usage_date, currency)
  left join sets using (connection, table_name, set_name, usage_date)
  left join known using (connection, table_name, set_name)
  left join twice using (connection, table_name, usage_date)
  left join states using (connection, table_name, set_name, usage_date)
  left join assets using (connection, table_name)
)
select
  connection,
  table_name,
  set_name,
  usage_date,
  currency,
  if(is_current and not is_known, null, delivered) as delivered,
  if(is_current, charged, 0) as charged,
  if(is_current, left_out, 0) as left_out,
  if(is_current, 0, delivered) as not_stored,
  if(is_current, 0, charged + left_out) as not_delivered,
  case
    when is_current and is_known then delivered - charged - left_out
    when is_known and not is_noted then -charged - left_out
    else 0
  end as difference,
  case
    when not is_known then 'its files were not read since this release, or since the database was rebuilt'
    when not is_current then because
  end as reason
from days;

comment on view costs.delivered is
  'One row per connection, set of files, day and currency: what a bill delivered, and where it is'
