-- each part is what its units are of all units, but for less than one last place; what is not split is whole
-- says: a part of {total} is {found}, and its share of the bill is {expected}
select
  connection,
  usage_date,
  coalesce(line_item, 'a bill') as total,
  concat_ws(' ', currency, native_unit) as unit,
  coalesce(of_last_places(share.sign * share.rounded), billed_amount) as expected,
  native_amount as found
from (
  select
    *,
    share_of(billed_amount, units, all_units) as share
  from costs.allocated_costs
)
where not coalesce(
  list_contains([0, if(units < all_units, 1, 0)], abs(last_places(native_amount)) - share.rounded),
  native_amount = billed_amount
)
