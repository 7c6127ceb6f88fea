-- dollars of the period per day, provider and label of each dimension; labels of a rank after {most} are one label
select
  usage_date as day,
  provider,
{labels}
  sum(billed.dollars) as usd
from temp.main.billed
{joins}
where usage_date >= $first
group by all
order by all
