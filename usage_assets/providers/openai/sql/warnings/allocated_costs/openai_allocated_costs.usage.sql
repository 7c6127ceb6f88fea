-- every project that used tokens is billed, and every project that is billed for tokens used some (usage and costs name
-- models differently: projects are what both know)
with used as (
  select
    connection,
    usage_date,
    coalesce(project_id, '') as project_id,
    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) as tokens
  from openai.usage_completions
  group by all
  having tokens > 0
),
billed as (
  select
    connection,
    usage_date,
    coalesce(project_id, '') as project_id,
    sum(native_amount) as amount,
    coalesce(bool_or(regexp_matches(usage_type, '^((cached|text) )?(input|output)')), false) as is_for_tokens
  from costs.daily_costs
  where source_table = 'openai.costs'
  group by all
  having amount <> 0
)
select
  connection,
  usage_date,
  case when amount is null then 'what is billed for tokens of project ' else 'tokens that were used of project ' end
    || if(project_id = '', 'none', project_id) as total,
  coalesce(tokens, amount) as expected,
  0 as found
from used
full join billed using (connection, usage_date, project_id)
where amount is null or (tokens is null and is_for_tokens)
