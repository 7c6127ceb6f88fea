-- title: What changed, and why
-- short: [{by} ]{name}: [changed by {usd_change}|not compared][ ({why_unknown})]
-- note: The difference to the days before, split exactly. A day is compared with its counterpart: the first with the first. Volume: more
--   or less use of a unit in a connection. Mix: use that moved between models, kinds of tokens and projects. Price: the same use at
--   another price. New and gone: billed in one of the two periods only. Seats are apart, and so are credits and taxes: taxes, fees,
--   credits, refunds. Not split: charges on days without a quantity. Before, now and their difference are of the days that are
--   compared. What the other days were billed stands beside them: more or fewer days, where the other period has no such day; not
--   known before or now, where a day is not stored whole or a rate is missing. The parts are those of a connection, price,
--   unit, currency and project; the people and teams of one of these share them by what they were billed. The query gives the amounts
--   and quantities that this is computed from.
-- one row per item (what one connection bills under one price and currency in one project), kind, period (is_now) and unit: its quantity,
-- and what was billed for that. What has no quantity has one row
with
item_days as (
{item_days}
),
used as (
{used}
),
days as (
  select *, if(is_not_split, 'not_split', kind) as part
  from item_days
),
quantities as (
  select
    used.connection,
    used.price_id,
    used.project,
    used.currency,
    is_now,
    used.unit,
    sum(quantity) as quantity,
    sum(billed_for_it) as billed_for_it
  from used
  join days
    on days.connection = used.connection
    and days.price_id = used.price_id
    and days.project is not distinct from used.project
    and days.currency = used.currency
    and days.usage_date = used.usage_date
    and part = 'usage'
  group by all
),
amounts as (
  select
    connection,
    price_id,
    project,
    any_value(project_name) as project_name,
    currency,
    part as kind,
    any_value(provider) as provider,
    is_now,
    sum(native_amount) as native_amount,
    sum(usd) as usd
  from days
  group by all
)
select
  amounts.connection,
  amounts.price_id,
  amounts.project,
  project_name,
  amounts.currency,
  kind,
  provider,
  amounts.is_now,
  usd,
  native_amount,
  unit,
  quantity,
  billed_for_it
from amounts
left join quantities
  on quantities.connection = amounts.connection
  and quantities.price_id = amounts.price_id
  and quantities.project is not distinct from amounts.project
  and quantities.currency = amounts.currency
  and quantities.is_now = amounts.is_now
  and kind = 'usage'
