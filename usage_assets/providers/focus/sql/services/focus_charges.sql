-- one row per connection and service: who provides and who invoices it; null where the files name several
-- reads: focus.charges
select
  'focus.charges' as source_table,
  connection,
  service_name as cost_type,
  if(min(service_provider_name) = max(service_provider_name), min(service_provider_name), null) as service_provider,
  if(min(invoice_issuer_name) = max(invoice_issuer_name), min(invoice_issuer_name), null) as invoice_issuer
from focus.charges
where left_out_rows is null
group by connection, service_name
