-- every project that used tokens is billed, and every project that is billed for tokens used something (usage and costs name
-- models differently: projects are what both know)
-- says_unbilled: {project} used {amount} of text models, and nothing is billed to it
-- says_unused: {project} is billed {amount} for tokens, and no usage report has anything of it
-- do: Compare the Usage and Costs pages of OpenAI's dashboard for that project and day. If they agree, please report it
-- settled: sources
with used as (
  select
    connection,
    usage_date,
    coalesce(project_id, '') as project_id,
    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) as tokens
  from (
    from openai.usage_completions
    union all by name
    -- a line item for tokens may be of any of these: images are billed as output
    select connection, usage_date, project_id
    from query_table(
      [
        'openai.usage_decisions', 'openai.usage_embeddings', 'openai.usage_moderations', 'openai.usage_images',
        'openai.usage_audio_speeches', 'openai.usage_audio_transcriptions'
      ],
      true
    )
  )
  group by all
),
billed as (
  select
    connection,
    usage_date,
    coalesce(project_id, '') as project_id,
    concat_ws(' ', any_value(currency), any_value(native_unit)) as unit,
    sum(native_amount) as amount,
    coalesce(bool_or(regexp_matches(usage_type, '^((cached|text) )?(input|output)')), false) as is_for_tokens
  from costs.daily_costs
  where source_table = 'openai.costs'
  group by all
  having amount <> 0
),
days as (
  -- a filter of projects narrows costs and usage alike; another one does not
  select
    connection,
    usage_date,
    count(*) filter (where table_name like 'openai.usage\_%' escape '\') as reports
  from ledger.stored_days
  where table_name in (
    'openai.costs', 'openai.usage_completions', 'openai.usage_embeddings', 'openai.usage_moderations',
    'openai.usage_images', 'openai.usage_audio_speeches', 'openai.usage_audio_transcriptions'
  )
  group by connection, usage_date
  having coalesce(bool_and(json_keys(filters) = ['project_ids']), true)
)
select
  connection,
  usage_date,
  if(project_id = '', 'What has no project', 'Project ' || project_id) as project,
  if(billed.amount is null, 'unbilled', 'unused') as says,
  if(billed.amount is null, 'tokens', unit) as unit,
  coalesce(billed.amount, tokens) as amount
from used
full join billed using (connection, usage_date, project_id)
join days using (connection, usage_date)
where (billed.amount is null and tokens > 0)
  or (tokens is null and is_for_tokens and reports = 6)
