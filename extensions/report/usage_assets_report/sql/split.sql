-- what each item cost in each period, and the quantities of those that have a unit in both
select
  item,
  is_now,
  usd,
  native_amount,
  unit,
  quantity,
  billed_for_it
from temp.main.items
join (from temp.main.splits where has_unit) as splits
  on splits.connection = items.connection
  and splits.price_id = items.price_id
  and splits.currency is not distinct from items.currency
  and splits.project is not distinct from items.project
  and splits.kind = items.kind
union all
select
  item,
  is_now,
  sum(if(is_now, usd_now, usd_before)),
  0,
  null,
  null,
  null
from temp.main.splits
cross join (values (false), (true)) as periods(is_now)
where not has_unit and if(is_now, usd_now, usd_before) is not null
group by item, is_now
