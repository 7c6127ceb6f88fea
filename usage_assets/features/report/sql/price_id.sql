  concat_ws(
    '/',
    costs.provider,
    coalesce(costs.model, costs.usage_type, costs.line_item, 'other use'),
    if(costs.model is null, null, costs.usage_type),
    costs.service_tier,
    costs.context_window,
    costs.inference_geo
  )
