-- no service of the files is billed by another connection on the same day (docs/money.md#one-use-one-bill)
-- says: {service} is in this bill with {amount_usd}, and connection {billed_by} bills {billed_by_usd} of it, too
-- do: Count it once: leave the service out with filters.services, or remove one of the two connections (docs/money.md#one-use-one-bill)
select
  connection,
  usage_date,
  service,
  billed_by,
  'USD' as unit,
  billed_by_usd,
  amount_usd
from costs.billed_twice
where accounts is null
