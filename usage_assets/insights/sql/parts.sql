-- what a scope was billed per day and part of it, and the tokens of each model in the same connections
-- reads: costs.allocated_costs_named, costs.usage_by_model
with costs as (
{billed}),
tokens as (
  select
    connection,
    model,
    usage_date,
    (coalesce(input_tokens, 0) + coalesce(output_tokens, 0))::decimal(38, 0) as tokens
  from costs.usage_by_model
  where usage_date between $first and $last
)
select
  usage_date,
  costs.connection,
  costs.model,
  project_name,
  person_name,
  sum(amount_usd) as amount,
  any_value(tokens) as tokens
from costs
left join tokens using (connection, model, usage_date)
where $kind = 'all'
  or $id = case $kind
    when 'connection' then costs.connection
    when 'provider' then provider
    when 'team' then team
    when 'project' then project
    when 'model' then costs.model
    when 'person' then person
    when 'api_key' then api_key
  end
group by all
