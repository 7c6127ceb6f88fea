  concat_ws(
    '/',
    costs.provider,
    coalesce(nullif(concat_ws(' ', costs.family, costs.variant), ''), costs.usage_type, costs.line_item, 'other use'),
    if(costs.family is null, null, costs.usage_type),
    costs.service_tier,
    -- a connection may have read a part of these days from a report that does not tell these apart, but states list prices
    if(costs.connection in (
      select connection
      from costs.daily_costs
      where cost_type = 'tokens' and usage_date between $before_first and $last
      group by connection
      having count(list_amount) between 1 and count(*) - 1
    ), null, concat_ws('/', costs.context_window, costs.inference_geo))
  )
