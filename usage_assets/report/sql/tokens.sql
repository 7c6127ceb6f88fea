-- title: Tokens, requests and price by model
-- note: Input includes cached input; the cached share is of all input. The effective price is everything that is billed for the model, tools included, per
--   million of its tokens. Codex counts tokens without a model.
-- explain: --table costs.by_model {days} --where provider={provider} --model {model} --where cost_basis=billed --column amount_usd ;
--   --table costs.usage_by_model {days} --where provider={provider} --model {model} --column requests --column input_tokens
--   --column cached_input_tokens --column output_tokens
with
used as (
  select
    provider,
    coalesce(model, 'no model') as model,
    sum(requests) as requests,
    sum(input_tokens) as input_tokens,
    sum(cached_input_tokens) as cached_input_tokens,
    sum(output_tokens) as output_tokens
  from costs.usage_by_model
  where usage_date between $first and $last
  group by all
),
costs as (
  select provider, coalesce(model, 'no model') as model, sum(amount_usd) as usd
  from costs.by_model
  where cost_basis = 'billed' and usage_date between $first and $last
  group by all
)
select
  provider,
  model,
  requests::bigint as requests,
  input_tokens::bigint as input_tokens,
  output_tokens::bigint as output_tokens,
  round(cached_input_tokens / nullif(input_tokens, 0), 4) as cached_share,
  usd,
  (usd::decimal(24, 8) / nullif(coalesce(input_tokens, 0) + coalesce(output_tokens, 0), 0) * 1000000)::decimal(18, 4)
    as usd_per_million_tokens
from used
left join costs using (provider, model)
order by usd desc nulls last, input_tokens desc, model
