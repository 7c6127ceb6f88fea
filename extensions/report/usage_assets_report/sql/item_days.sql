-- what each item was billed per day: what one connection bills under one price and currency in one project. Use is split by quantities;
-- where one of two days that are compared has an amount without a quantity, both are not_split
with
used as (
{used}
),
billed as (
{billed}
),
days as (
  select
    connection,
    price_id,
    project.id as project,
    any_value(project.name) as project_name,
    currency,
    kind as charge_kind,
    coalesce(comparison, if(kind = 'other', 'credits_and_taxes', kind)) as kind,
    any_value(provider) as provider,
    usage_date,
    usage_date >= $first as is_now,
    usage_date - if(is_now, $first::date, $before_first::date) as place,
    sum(native_amount) as native_amount,
    sum(dollars) as usd
  from billed
  where usage_date <= $before_same or usage_date >= $first
  group by all
),
of_both as (
  select *, bool_or(is_now) over item and bool_or(not is_now) over item and kind = 'usage' as is_of_both
  from days
  window item as (partition by connection, price_id, currency, project, kind)
),
priced as (
  select
    of_both.*,
    is_of_both and bool_or(native_amount <> coalesce(billed_for_it, 0)) over (
      partition by of_both.connection, of_both.price_id, of_both.currency, of_both.project, kind, place
    ) as lacks_quantity
  from of_both
  left join (
    select connection, price_id, project, currency, usage_date, sum(billed_for_it) as billed_for_it
    from used
    group by all
  ) as used
    on used.connection = of_both.connection
    and used.price_id = of_both.price_id
    and used.project is not distinct from of_both.project
    and used.currency = of_both.currency
    and used.usage_date = of_both.usage_date
)
select
  * exclude (is_of_both, lacks_quantity),
  is_of_both
    and (
      lacks_quantity
      or not bool_or(is_now and not lacks_quantity) over item
      or not bool_or(not is_now and not lacks_quantity) over item
    ) as is_not_split
from priced
window item as (partition by connection, price_id, currency, project, kind)
