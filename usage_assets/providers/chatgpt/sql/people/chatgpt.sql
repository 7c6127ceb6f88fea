-- people who used Codex; a workspace's own row names nobody
-- reads: chatgpt.codex_usage
select distinct connection, usage_date, 'chatgpt.codex_usage' as source, user_id as person
from chatgpt.codex_usage
