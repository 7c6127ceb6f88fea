-- one row per connection, day and version of a raw table that its costs do not hold yet: it was fetched again alone. Costs record
-- which version they were computed from; those of releases that did not are taken to hold what was written before them
-- reads: ledger.partition_versions, ledger.stored_days
-- columns: ledger.partition_versions
-- column source_table: Raw table whose newer rows are not in costs yet
-- column version: Version of the raw day that costs do not hold yet
create or replace view costs.days_ahead as
select
  raw.connection,
  raw.usage_date,
  raw.table_name as source_table,
  raw.version
from ledger.partition_versions as raw
left join ledger.stored_days as costs
  on costs.table_name = 'costs.daily_costs'
  and costs.slice = raw.table_name
  and costs.connection = raw.connection
  and costs.usage_date = raw.usage_date
where raw.changed
  and case
    when costs.inputs is not null then raw.version > (costs.inputs ->> raw.table_name)::bigint
    else costs.written_at is null or costs.written_at < raw.written_at
  end;

comment on view costs.days_ahead is 'Days of raw tables whose costs are not computed from what is stored now';
