-- title: Daily forecast
-- note: What to expect of each day until the end of the quarter, everything together: a range that holds four times out of five. A day
--   that is over and may still change is what is stored, times its usual growth.
-- explain: --table costs.forecast --where kind=all --day {day}
select usage_date as day, expected as usd_expected, low as usd_low, high as usd_high
from costs.forecast
where kind = 'all' and usage_date > $first
order by all
