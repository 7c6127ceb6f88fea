-- title: Billed by two connections
-- note: Both amounts are in every total. Leave the service out of the files, or remove one of the connections.
select
  connection,
  service,
  billed_by,
  count(distinct usage_date) as days,
  if(count(amount_usd) = count(*), sum(amount_usd), null)::decimal(38, 24) as usd
from costs.billed_twice
where usage_date between $first and $last
group by connection, service, billed_by
order by connection, service, billed_by
