select connection, usage_date, 'chatgpt' as provider, table_name as source, true as has_people, table_name, slice
from stored
where table_name = 'chatgpt.codex_usage'
