-- reads: chatgpt.codex_usage
select distinct connection, user_id as id, user_email as email
from chatgpt.codex_usage
