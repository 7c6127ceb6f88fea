-- title: Tokens, requests and price by model
-- short: {model}: [{usd_per_million_tokens} per million tokens|price unknown]
-- note: Input includes cached input; the cached share is of the input of reports that state both. The effective price is everything that is
--   billed for the model, tools included, per million of the tokens that are billed, over the days of a connection on which both are
--   known. USD left out are the dollars of all other days, and are in USD, too. Codex counts tokens without a model.
-- explain: --table costs.by_model_as_sent {days} --where provider={provider} --where family={model} --where variant={variant}
--   --where cost_basis=billed --column amount_usd ;
--   --table costs.usage_by_model {days} --where provider={provider} --where family={model} --where variant={variant}
--   --column requests --column input_tokens --column cached_input_tokens --column output_tokens
with
used as (
  select
    connection,
    usage_date,
    provider,
    coalesce(family, 'no model') as model,
    coalesce(variant, '') as variant,
    sum(requests) as requests,
    sum(input_tokens) as input_tokens,
    sum(cached_input_tokens) filter (where input_tokens is not null) as cached_input_tokens,
    sum(input_tokens) filter (where cached_input_tokens is not null) as input_of_cached,
    sum(output_tokens) as output_tokens,
    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) filter (where is_billed is distinct from false) as billed_tokens,
    count(*) filter (where is_billed is distinct from false) as billed_rows,
    count(input_tokens) filter (where is_billed is distinct from false) as rows_with_input,
    count(output_tokens) filter (where is_billed is distinct from false) as rows_with_output
  from costs.usage
  left join models.names using (provider, model)
  where usage_date between $first and $last and coalesce(usage_bytes, sessions) is null
  group by all
),
billed as (
  select
    connection,
    usage_date,
    provider,
    coalesce(family, 'no model') as model,
    coalesce(variant, '') as variant,
    sum(amount_usd) as usd,
    bool_and(amount_usd is not null or native_amount = 0) as is_known
  from costs.by_model_as_sent
  where cost_basis = 'billed' and usage_date between $first and $last
  group by all
),
-- embeddings have no output: it is unknown only where other rows of the model state it
days as (
  select
    *,
    coalesce(
      is_known
      and rows_with_input = billed_rows
      and (rows_with_output = billed_rows or sum(rows_with_output) over (partition by provider, model, variant) = 0)
      and billed_tokens > 0,
      false
    ) as has_both
  from used
  full join billed using (connection, usage_date, provider, model, variant)
),
models as (
  select
    provider,
    model,
    variant,
    sum(requests)::bigint as requests,
    sum(input_tokens)::bigint as input_tokens,
    sum(output_tokens)::bigint as output_tokens,
    round(sum(cached_input_tokens) / nullif(sum(input_of_cached), 0), 4) as cached_share,
    sum(usd) as usd,
    coalesce(sum(usd) filter (where not has_both), 0) as usd_left_out,
    (sum(billed_tokens) filter (where has_both))::bigint as priced_tokens,
    -- integers: dollars with 24 decimal places, over millions of tokens with 20, make 4
    abs(replace((sum(usd) filter (where has_both))::varchar, '.', '')::hugeint) as dividend,
    sign(sum(usd) filter (where has_both)) as sign_of_price
  from days
  group by provider, model, variant
  having count(billed_rows) > 0
)
select
  * exclude (dividend, divisor, sign_of_price) replace (nullif(variant, '') as variant),
  (sign_of_price * ((2 * dividend + divisor) // (2 * divisor)))::decimal(22, 0) * 0.0001 as usd_per_million_tokens
from (select *, priced_tokens::hugeint * 100000000000000 as divisor from models)
order by usd desc nulls last, input_tokens desc, model, variant
