-- one row per exchange rate that the report values a currency of the month with
select distinct currency, rate, source, valid_from
from costs.rates_used
where usage_date between $first and $last
order by all
