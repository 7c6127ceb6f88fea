-- title: Billed by two connections
-- note: Both amounts are in every total. Leave the service out of the files, or remove one of the connections.
select
  connection,
  service,
  billed_by,
  count(distinct usage_date) as days,
  sum(amount_usd)::decimal(38, 24) as usd
from costs.billed_twice
where usage_date between $first and $last
group by connection, service, billed_by
order by connection, service, billed_by
