-- no account of the files is stored by another connection on the same day (extensions/finance/README.md). An error: both store the same
-- charges. billed_twice warns of another vendor's bill, which only names tell
-- severity: error
-- says: {amount_usd} of {service} of account {accounts} is stored, and connection {billed_by} stores {billed_by_usd} of the same, too
-- do: Store it once: remove one of the two connections, or leave its files out. If they share no charge, say so with no_overlap_with
select
  connection,
  usage_date,
  service,
  accounts,
  billed_by,
  'USD' as unit,
  billed_by_usd,
  amount_usd
from costs.billed_twice
where accounts is not null
