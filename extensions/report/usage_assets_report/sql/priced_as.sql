  concat_ws(
    '/',
    costs.provider,
    coalesce(nullif(concat_ws(' ', costs.family, costs.variant), ''), costs.usage_type, costs.line_item, 'other use'),
    if(costs.family is null, null, costs.usage_type),
    costs.service_tier
  )
