-- one row per connection, day, service and line item of costs, and names of its charges: of the service, and of who sells it
-- reads: focus.charges
select distinct
  'focus' as provider,
  'focus.charges' as source_table,
  connection,
  usage_date,
  coalesce(service_name, other_columns ->> 'x_SkuMeterSubcategory', other_columns ->> 'PublisherName', 'not named') as cost_type,
  coalesce(charge_description, sku_meter) as line_item,
  [
    service_name,
    sku_meter,
    charge_description,
    other_columns ->> 'x_SkuMeterCategory',
    other_columns ->> 'x_SkuMeterSubcategory',
    other_columns ->> 'x_SkuMeterName'
  ] as services,
  [service_provider_name, other_columns ->> 'PublisherName', invoice_issuer_name] as sellers
from focus.charges
where left_out_rows is null
