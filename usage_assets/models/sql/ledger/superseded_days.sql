-- the days of a connection that another one bills: both are of one organization, and costs of the other provider are stored.
-- Organizations are known by the setting organization and by the providers' lookups. Without either, two bills that agree on two
-- amounts, but for a millionth of a cent a row, are of one organization. Where nothing proves that it is one or that there are
-- two, both bill the day, and superseded_by is null. A bill without a row takes no day from one that has some
-- reads: accounting.connections, ledger.stored_days
-- columns: ledger.stored_days
-- column connection: Connection whose rows of the day are in no cost
-- column superseded_by: Connections that bill the day instead, comma-separated; null: it bills the day itself
-- column perhaps_by: Connections that may bill it, too, comma-separated; null: none
create or replace view ledger.superseded_days as
with superseding as (
  from accounting.connections as connections
  join (values {superseding}) as superseding(provider, source, instead_of) using (provider)
),
stored as materialized (
  select
    stored_days.connection,
    table_name,
    slice as source,
    usage_date,
    row_count,
    try_cast(day_totals ->> 'amount_cents' as decimal(38, 24)) as amount
  from ledger.stored_days
  where table_name = 'costs.daily_costs'
    or table_name in (select source from superseding)
    or table_name in (select instead_of from superseding)
),
organizations as (
  select connection, 'stated' as known_by, organization
  from accounting.connections
  where organization is not null
  union all by name
{organizations}
),
agreeing as (
  select superseding.connection, theirs.connection as other
  from superseding
  join stored as mine on mine.connection = superseding.connection and mine.table_name = instead_of
  join stored as theirs on theirs.table_name = superseding.source and theirs.usage_date = mine.usage_date
  where mine.amount <> 0
    and abs(mine.amount - theirs.amount) <= (mine.row_count + theirs.row_count) * 0.000001
  group by all
  having count(distinct mine.amount) > 1
),
pairs as (
  select
    superseding.connection,
    others.connection as other,
    source,
    case
      when bool_or(mine.organization = theirs.organization) then true
      when bool_or(mine.known_by = theirs.known_by) then false
      when bool_or(agreeing.other is not null) then true
    end as is_same
  from superseding
  join (select distinct connection, source from stored where table_name = 'costs.daily_costs') as others using (source)
  left join organizations as mine on mine.connection = superseding.connection
  left join organizations as theirs on theirs.connection = others.connection
  left join agreeing on agreeing.connection = superseding.connection and agreeing.other = others.connection
  group by superseding.connection, others.connection, source
)
select
  pairs.connection,
  usage_date,
  string_agg(distinct other, ', ' order by other) filter (where is_same) as superseded_by,
  string_agg(distinct other, ', ' order by other) filter (where is_same is null) as perhaps_by
from pairs
join stored
  on stored.connection = other
  and stored.table_name = 'costs.daily_costs'
  and stored.source = pairs.source
where is_same is distinct from false and row_count > 0
group by pairs.connection, usage_date
