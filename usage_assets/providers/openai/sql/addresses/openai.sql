-- reads: openai.costs
select distinct connection, user_id as id, user_email as email
from openai.costs
