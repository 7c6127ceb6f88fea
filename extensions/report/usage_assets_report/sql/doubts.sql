-- title: What contradicts the bill
-- short: {connection}: {days#day} contradicted by {contradicted_by}
-- note: Days whose billed amounts are wrong as far as a check, or the bill or usage of another connection, can tell. They are in every
--   sum all the same, and no statement of their month is issued. It is computed with the forecasts.
select
  connection,
  check_name as contradicted_by,
  count(*) as days,
  min(usage_date) as first_day,
  max(usage_date) as last_day,
  min(text) as what
from costs.doubts
where usage_date between $first and $last
group by connection, check_name
order by days desc, connection, check_name
