-- title: Delivered, and not counted
-- short: {connection}, {reason}: [{not_stored:currency}|nothing] not stored
-- note: What bills of files say of these days and costs do not: not stored, stored though the newest files do not have it, or missing
--   without a reason, which is an error.
select
  connection,
  coalesce(reason, 'no reason is known') as reason,
  count(distinct usage_date) as days,
  currency,
  sum(not_stored)::decimal(38, 24) as not_stored,
  sum(not_delivered)::decimal(38, 24) as not_delivered,
  sum(difference)::decimal(38, 24) as missing
from costs.delivered
where usage_date between $first and $last and (not_stored <> 0 or not_delivered <> 0 or difference <> 0)
group by connection, reason, currency
order by connection, reason, currency
