-- what was charged in a period and the one before. ``comparison`` says why the amounts of a day are not compared
-- (costs.compared_days). Other queries of costs read this
with
charged as (
{charged}
)
select
  charged.* exclude (told_apart) replace (
    concat_ws('/', price_id, if(charged.connection in {mixed}, null, told_apart)) as price_id
  ),
  comparison
from charged
left join costs.compared_days($first, $last, $before_first, $before_same) as compared
  on compared.connection = charged.connection
  and compared.currency = charged.currency
  and compared.usage_date = charged.usage_date
  and compared.is_valued
where charged.usage_date between $before_first and $last
