-- title: What providers restated
-- short: {day}, {connection}: {total} changed by {difference:unit}
-- note: Totals of days of this period that a provider changed after it had reported them.
-- explain: --table ledger.restatements --day {day} --connection {connection} --where table_name={table_name}
--   --where total={total} --where version={version}
select
  usage_date as day,
  connection,
  table_name,
  version,  -- for explain
  total,
  before,
  after,
  difference,
  unit,
  found_at
from ledger.restatements
where cause = 'provider' and usage_date between $first and $last and difference <> 0
order by found_at desc, day, total
limit 200
