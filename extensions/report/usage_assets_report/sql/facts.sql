-- dollars of the period per day, provider and label of each dimension; labels of a rank after {most} are one label
with
{states}
select
  usage_date as day,
  provider,
{labels}
  if(bool_and(coalesce(is_final, false)), 'final', 'may change') as state,
  sum(billed.dollars) as usd
from temp.main.billed
left join states using (connection, usage_date)
{joins}
where usage_date >= $first
group by all
order by all
