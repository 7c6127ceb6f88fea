-- each amount that the files deliver is stored, left out, or not stored for a reason (costs.delivered)
-- severity: error
-- reads: costs.delivered
-- says: {set_name} delivers {delivered}; {charged} is stored, and {left_out} left out
-- do: Read the files again: usage-assets backfill --connection {connection} --start {day} --end {day}. If it stays, please report it
select
  connection,
  usage_date,
  set_name,
  currency as unit,
  delivered,
  charged,
  left_out
from costs.delivered
where difference <> 0
