-- reads: acme.usage
select
  connection,
  usage_date,
  'acme' as provider,
  model,
  project_id,
  requests,
  input_tokens,
  output_tokens
from acme.usage
