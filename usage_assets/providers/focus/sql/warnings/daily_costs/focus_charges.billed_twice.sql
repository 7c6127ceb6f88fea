-- no service of the files is billed by another connection on the same day (docs/one-bill.md)
select
  connection,
  usage_date,
  service || ', which connection ' || billed_by
  || ' bills, too (count it once: leave the service out with filters.services, or remove a connection): the amount in USD'
    as total,
  billed_by_usd as expected,
  amount_usd as found
from costs.billed_twice
