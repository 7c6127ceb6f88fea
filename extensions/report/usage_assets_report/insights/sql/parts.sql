-- what a scope was billed, or used, per day and part of it, and the tokens of each model in the same connections. $days: the
-- days that are compared. Reads kept.sql
-- reads: costs.usage_by_model
with
tokens as (
  select
    connection,
    family as model,
    usage_date,
    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))::decimal(38, 0) as tokens_of_model
  from costs.usage_by_model
  where usage_date between $first and $last
  group by all
)
select
  usage_date,
  parts.connection,
  parts.model,
  project_name,
  person_name,
  sum({measure}) as amount,
  any_value(tokens_of_model) as tokens
from temp.main.{kept} as parts
left join tokens using (connection, model, usage_date)
where {measure} is not null and usage_date in (select unnest($days::date[]))
  and (
    $kind = 'all'
    or ($kind = 'model' and $id = model_as_sent)
    or $id = case $kind
      when 'connection' then parts.connection
      when 'provider' then provider
      when 'team' then team
      when 'project' then project
      when 'model' then parts.model
      when 'person' then person
      when 'api_key' then api_key
    end
  )
group by all
