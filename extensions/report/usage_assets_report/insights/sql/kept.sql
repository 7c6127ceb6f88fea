-- what was billed, or used, in the last 400 days with the columns of every scope: a temporary table, because series.sql, odd.sql and
-- parts.sql read the same rows again and again
select
  usage_date,
  connection,
  source_table,
  due_on,
  provider,
  team,
  project,
  model,
  model_as_sent,
  person,
  api_key,
  project_name,
  person_name,
  api_key_name,
  {measures}
from (
{rows}
)
