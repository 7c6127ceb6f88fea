-- every report that counts requests
select
  connection,
  usage_date,
  'openai' as provider,
  'openai.usage_*' as source,
  true as has_people,
  table_name,
  slice
from stored
where table_name like 'openai.usage_%'
  and table_name not in ('openai.usage_vector_stores', 'openai.usage_code_interpreter_sessions')
