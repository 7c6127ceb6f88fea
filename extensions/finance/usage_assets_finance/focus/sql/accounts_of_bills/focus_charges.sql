-- one row per connection, day, service, billing account and sub account that has charges
-- reads: focus.charges
select distinct
  'focus' as provider,
  'focus.charges' as source_table,
  connection,
  usage_date,
  coalesce(service_name, other_columns ->> 'x_SkuMeterSubcategory', other_columns ->> 'PublisherName', 'not named') as cost_type,
  billing_account_id,
  sub_account_id
from focus.charges
where left_out_rows is null
