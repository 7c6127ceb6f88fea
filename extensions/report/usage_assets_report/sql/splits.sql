-- one row per item, with the item that it is split as. What has no unit in both periods is one part as a whole, whatever it is: such
-- items of a kind that are billed in the same periods are split as one
select
  connection,
  price_id,
  currency,
  project,
  kind,
  any_value(provider) as provider,
  any_value(usd) filter (where not is_now) as usd_before,
  any_value(usd) filter (where is_now) as usd_now,
  count(unit) > count(distinct unit) as has_unit,
  if(
    has_unit,
    {'connection': connection, 'price_id': price_id, 'currency': currency, 'project': project, 'kind': kind},
    {
      'connection': '',
      'price_id': concat_ws(', ', if(usd_before is null, null, 'before'), if(usd_now is null, null, 'now')),
      'currency': '',
      'project': null,
      'kind': kind
    }
  ) as item
from temp.main.items
group by connection, price_id, currency, project, kind
