-- a row has the costs besides the bill that costs_stated names, and no others: what a source does not state is null
-- says: {found} of {expected} rows have the costs that their source states, and no others
select
  connection,
  usage_date,
  count(*) as expected,
  count(*) filter (
    where (effective_amount is not null) = coalesce(contains(costs_stated, 'effective'), false)
    and (contracted_amount is not null) = coalesce(contains(costs_stated, 'contracted'), false)
    and (list_amount is not null) = coalesce(contains(costs_stated, 'list'), false)
  ) as found
from costs.daily_costs
where source_table = $part
group by connection, usage_date
having expected <> found
