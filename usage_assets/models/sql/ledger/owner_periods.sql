-- one row per day from which other owners hold than before, with a digest of those that do
-- reads: accounting.owners
-- column valid_from: First day of the period
-- column digest: Digest of the owners that hold from then on
create or replace view ledger.owner_periods as
with changes as (
  select valid_from
  from accounting.owners
  union
  select valid_until + 1
  from accounting.owners
  where valid_until is not null
)
select
  changes.valid_from,
  md5(
    string_agg(
      to_json([kind, id, team, cost_center, connection])::varchar, ' ' order by connection, kind, id, team, cost_center
    )
  ) as digest
from changes
left join accounting.owners
  on changes.valid_from between owners.valid_from and coalesce(owners.valid_until, date '9999-12-31')
group by changes.valid_from
