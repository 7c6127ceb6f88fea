-- title: What if: the same tokens on another model
-- note: Each row compares what a model was billed (USD) with public list prices of the same tokens: its own (USD list), and those of
--   what [[what_if]] names, or else of the next cheaper model in use (USD list instead). USD change is the difference of the two list
--   prices. USD bill less list is the effect of discounts, tiers, long requests and tools. All tokens count at
--   the standard price, also those of batch and flex: where the bill is far below USD list, USD change is too large. This is an estimate
--   and no offer: quality is not compared. The last row names the models without a list price, such as those of a cloud's bill.
-- explain: {of_costs} {days} --model {model} --where cost_basis=billed --column amount_usd
with
-- models that read and write tokens: not those that are billed by image, second or character, nor embeddings
used as (
  select
    connection,
    usage_date,
    provider,
    model,
    coalesce(cached_input_tokens, 0)::decimal(18, 0) as cached,
    coalesce(cache_write_tokens, 0)::decimal(18, 0) as written,
    input_tokens::decimal(18, 0) - cached - written as uncached,
    output_tokens::decimal(18, 0) as generated
  from costs.usage_by_model
  where usage_date between $first and $last
    and model is not null
    and input_tokens is not null
    and output_tokens is not null
),
billed as (
  select
    connection,
    usage_date,
    provider,
    model,
    sum(amount_usd) as usd,
    bool_and(amount_usd is not null or native_amount = 0) as is_known
  from costs.by_model
  where cost_basis = 'billed' and usage_date between $first and $last
  group by all
),
-- per token, with 12 decimal places
prices as (
  select
    provider,
    model,
    tier,
    valid_from,
    coalesce(valid_until, date '9999-12-31') as valid_until,
    input::decimal(14, 6) as of_input,
    cache_read::decimal(14, 6) as of_cached,
    cache_write::decimal(14, 6) as of_written,
    output::decimal(14, 6) as of_output
  from accounting.list_prices
  where input > 0 and output > 0
),
days as (
  select
    used.*,
    usd,
    0.000001 * (uncached * of_input + cached * of_cached + written * of_written + generated * of_output) as list_usd
  from used
  join billed using (connection, usage_date, provider, model)
  join prices
    on is_known
    and prices.provider = used.provider
    and prices.model = used.model
    and prices.tier = ''
    and usage_date between valid_from and valid_until
),
listed as (
  select provider, model, count(distinct usage_date) as days, sum(usd) as listed_usd, sum(list_usd) as list_usd
  from days
  group by all
),
alternatives as (
  select *, true as is_stated
  from accounting.what_ifs
  union all by name
  select
    one.provider,
    one.model,
    other.provider as to_provider,
    other.model as to_model,
    '' as tier,
    false as is_stated
  from listed as one
  join listed as other on other.provider = one.provider and other.model <> one.model
  where (one.provider, one.model) not in (select (provider, model) from accounting.what_ifs)
),
instead as (
  select
    days.provider,
    days.model,
    to_provider,
    to_model,
    alternatives.tier,
    cached_share,
    is_stated,
    count(distinct usage_date) as days,
    sum(usd) as compared_usd,
    sum(list_usd) as list_usd,
    sum(
      0.000001 * (
        (if(cached_share is null, uncached, (uncached + cached) * (1 - cached_share::decimal(5, 4))))::decimal(22, 4) * of_input
        + (if(cached_share is null, cached, (uncached + cached) * cached_share::decimal(5, 4)))::decimal(22, 4) * of_cached
        + written * of_written
        + generated * of_output
      )
    ) as list_usd_instead
  from days
  join alternatives
    on alternatives.provider = days.provider
    and alternatives.model = days.model
  join prices
    on prices.provider = to_provider
    and prices.model = to_model
    and prices.tier = alternatives.tier
    and usage_date between prices.valid_from and prices.valid_until
  group by all
),
chosen as (
  from instead
  where is_stated
  union all by name
  (
    from instead
    where not is_stated and list_usd_instead < list_usd
    qualify row_number() over (partition by provider, model order by list_usd_instead desc, to_model) = 1
  )
),
models as (
  select
    provider,
    coalesce(model, 'no model') as model,
    sum(usd) as model_usd,
    ['--table', 'costs.by_model', '--where', 'provider=' || provider] as explained
  from billed
  group by all
  having model_usd <> 0
),
compared as (
  select
    models.provider,
    models.model,
    case
      when to_model is not null
        then concat_ws(
          ', ',
          nullif(to_provider, models.provider),
          to_model,
          nullif(tier, ''),
          printf('%g%% of the input cached', (cached_share * 100)::double)
        )
      when (models.provider, models.model) in (select (provider, model) from accounting.what_ifs) then 'no list price of the other'
      else 'no cheaper model in use'
    end as instead,
    coalesce(chosen.days, listed.days) as days,
    if(coalesce(compared_usd, listed_usd) = model_usd, explained, null) as of_costs,
    coalesce(compared_usd, listed_usd) as usd,
    coalesce(chosen.list_usd, listed.list_usd) as list_usd,
    list_usd_instead
  from models
  join listed using (provider, model)
  left join chosen using (provider, model)
  -- all that is stated, and the largest models
  qualify is_stated or dense_rank() over (order by model_usd desc, models.provider, models.model) <= 12
),
-- the models that are in no sum, as one row
others as (
  select
    if(min(provider) = max(provider), min(provider), 'several') as provider,
    array_to_string(list(provider || ' ' || model order by model_usd desc, model)[:10], ', ')
      || if(count(*) > 10, ' and ' || count(*) - 10 || ' more', '') as model,
    'no list price' as instead,
    sum(model_usd) as usd
  from models
  anti join listed using (provider, model)
  having usd is not null
)
select
  model,
  instead,
  of_costs,  -- for explain
  usd,
  list_usd_instead - list_usd as usd_change,
  list_usd_instead - usd as usd_difference_to_bill,
  list_usd as usd_list,
  list_usd_instead as usd_list_instead,
  usd - list_usd as usd_bill_less_list,
  round(usd / (select sum(billed.usd) from billed), 4) as share_of_bill,
  days,
  provider
from (from compared union all by name from others)
order by days is null, usd desc, model, instead
