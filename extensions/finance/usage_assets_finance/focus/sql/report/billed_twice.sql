-- title: Billed by two connections
-- short: {service} of {connection}: [{usd} billed|an unknown amount], also billed by {billed_by}
-- note: Both amounts are in every total. Leave the service out of the files, or remove one of the connections. Where accounts are
--   named, both connections store charges of the same account: that is an error, unless no_overlap_with says that they share none.
select
  connection,
  service,
  billed_by,
  count(distinct usage_date) as days,
  if(count(amount_usd) = count(*), sum(amount_usd), null)::decimal(38, 24) as usd,
  if(count(billed_by_usd) = count(*), sum(billed_by_usd), null)::decimal(38, 24) as other_usd,
  max(accounts) as accounts
from costs.billed_twice
where usage_date between $first and $last
group by connection, service, billed_by
order by connection, service, billed_by
