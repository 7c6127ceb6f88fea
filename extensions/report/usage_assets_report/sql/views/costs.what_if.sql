-- tokens that the provider of a connection bills, by tier and size of requests. null: the report does not state it. Sums leave out
-- what a row lacks: without ``is_whole`` they are too small
-- reads: costs.usage, costs.by_model_as_sent, models.names
-- columns: costs.usage
-- column is_whole: false: a row lacks a counter, and the sums are too small
-- column service_tier: Service tier; null: not stated
-- column model: Model, as its provider calls it
create or replace view costs.usage_by_tier as
select
  connection,
  provider,
  usage_date,
  model,
  service_tier,
  context_window,
  sum(input_tokens) as input_tokens,
  sum(cached_input_tokens) as cached_input_tokens,
  sum(cache_write_tokens) as cache_write_tokens,
  sum(cache_write_1h_tokens) as cache_write_1h_tokens,
  sum(output_tokens) as output_tokens,
  count(input_tokens) = count(*)
    and count(output_tokens) = count(*)
    and count(cached_input_tokens) in (0, count(*))
    and count(cache_write_tokens) in (0, count(*))
    and count(cache_write_1h_tokens) in (0, count(*)) as is_whole
from costs.usage
where model is not null
  and is_billed is distinct from false
  and coalesce(images, characters, seconds, usage_bytes, sessions) is null
group by all;

comment on view costs.usage_by_tier is
  'One row per connection, day, model, service tier and context window: tokens that the provider bills. Input includes cached input. is_whole is false where a row lacks a counter: the sums are too small'
;

-- what each model was billed in some days, the list price of its tokens at their own tiers, and of the same tokens on another model, at
-- another tier or with another cached share: one row per model and what instead; models that cannot be compared, by the reason. Tokens
-- that are written to a cache for 5 minutes and for an hour have prices of their own. Every sum is of the same days. A day counts if
-- its bill has a dollar value and each of its tokens a list price: a tier without one is never priced as the standard one. What a
-- model was billed on its other days is left out, and the row says why. ``prices`` and ``entries`` are the tables of list prices and
-- of [[what_if]]
create or replace macro costs.what_if(
  first_day,
  last_day,
  prices := 'accounting.list_prices',
  entries := 'accounting.what_ifs'
) as table
with
-- models that read and write tokens: not those that are billed by image, second or character, nor embeddings
tokens as (
  select
    connection,
    usage_date,
    provider,
    model,
    coalesce(service_tier, 'standard') as tier,
    context_window,
    concat_ws(' ', coalesce(service_tier, 'not stated'), context_window) as tier_in_words,
    bool_and(is_whole) over of_day as is_whole,
    coalesce(input_tokens, 0)::decimal(18, 0) as input,
    coalesce(cached_input_tokens, 0)::decimal(18, 0) as cached,
    coalesce(cache_write_tokens, 0)::decimal(18, 0) as written,
    coalesce(cache_write_1h_tokens, 0)::decimal(18, 0) as written_for_an_hour,
    coalesce(output_tokens, 0)::decimal(18, 0) as generated
  from costs.usage_by_tier
  where usage_date between first_day and last_day
  window of_day as (partition by connection, usage_date, provider, model)
  qualify count(input_tokens) over of_day > 0 and count(output_tokens) over of_day > 0
),
billed as (
  select
    connection,
    usage_date,
    provider,
    model,
    sum(amount_usd) as usd,
    bool_and(amount_usd is not null or native_amount = 0) as is_known
  from costs.by_model_as_sent
  where cost_basis = 'billed' and usage_date between first_day and last_day
  group by all
),
-- a model is stated by its name or its family, and is itself where nothing else is: variants have prices of their own
stated as (
  select distinct
    stated.* replace (
      coalesce(names.model, stated.model) as model,
      if((to_provider, to_model) = (stated.provider, stated.model), coalesce(names.model, to_model), to_model) as to_model
    )
  from query_table(entries) as stated
  left join models.names as names
    on names.provider = stated.provider
    and stated.model in (names.model, names.family)
),
-- per token, with 12 decimal places
rates as (
  select
    provider as to_provider,
    model as to_model,
    tier as to_tier,
    context_window,
    list_of,
    valid_from,
    coalesce(valid_until, date '9999-12-31') as valid_until,
    input::decimal(14, 6) as of_input,
    cache_read::decimal(14, 6) as of_cached,
    cache_write::decimal(14, 6) as of_written,
    cache_write_1h::decimal(14, 6) as of_written_for_an_hour,
    output::decimal(14, 6) as of_output
  from query_table(prices)
  where input > 0 and output > 0
),
priced_models as (
  select distinct provider, model
  from tokens
  semi join rates on to_provider = provider and to_model = model
),
-- of each model: its tokens as they were (is_stated is null), and what is stated, or else every other model of the provider
alternatives as (
  select *, true as is_stated
  from stated
  union all by name
  select provider, model, provider as to_provider, model as to_model
  from priced_models
  union all by name
  select one.provider, one.model, one.provider as to_provider, other.model as to_model, false as is_stated
  from priced_models as one
  join priced_models as other on other.provider = one.provider and other.model <> one.model
  where (one.provider, one.model) not in (select (provider, model) from stated)
),
-- what is written to the cache stays as it was
moved as (
  select
    tokens.*,
    alternatives.* exclude (provider, model, tier),
    alternatives.tier as stated_tier,
    coalesce(alternatives.tier, tokens.tier) as to_tier,
    if(cached_share is null, cached, least(input * cached_share::decimal(5, 4), input - written))::decimal(22, 4) as reads
  from tokens
  join alternatives using (provider, model)
),
priced as (
  select
    moved.*,
    list_of,
    -- a report that lacks a counter, or whose parts are more than its input: nobody knows what was read
    if(
      not is_whole or written + cached > input or written_for_an_hour > written,
      null,
      0.000001 * (
        (input - written - reads)::decimal(22, 4) * of_input
        + if(reads = 0, 0, reads * of_cached)
        + if(written = written_for_an_hour, 0, (written - written_for_an_hour) * of_written)
        + if(written_for_an_hour = 0, 0, written_for_an_hour * of_written_for_an_hour)
        + generated * of_output
      )
    ) as list_usd
  from moved
  left join rates
    on rates.to_provider = moved.to_provider
    and rates.to_model = moved.to_model
    and rates.to_tier = moved.to_tier
    and rates.context_window is not distinct from moved.context_window
    and usage_date between valid_from and valid_until
),
-- null where a part of a day's tokens has no price
by_day as (
  select
    connection,
    usage_date,
    provider,
    model,
    to_provider,
    to_model,
    stated_tier,
    cached_share,
    is_stated,
    if(count(*) = count(list_usd), sum(list_usd), null) as list_usd,
    any_value(list_of) as list_of,
    list(tier_in_words) as tiers,
    list(if(is_whole, tier_in_words, 'a counter is missing')) filter (where list_usd is null) as tiers_without_price
  from priced
  group by all
),
as_they_were as (
  select by_day.*, usd
  from by_day
  join billed using (connection, usage_date, provider, model)
  where is_stated is null and is_known
),
days as (
  from as_they_were
  where list_usd is not null
),
listed as (
  select
    provider,
    model,
    any_value(list_of) as list_of,
    array_to_string(list_sort(list_distinct(flatten(list(tiers)))), ', ') as tiers,
    count(distinct usage_date) as days,
    sum(usd) as listed_usd,
    sum(list_usd) as list_usd
  from days
  group by all
),
without_price as (
  select
    provider,
    model,
    count(distinct usage_date) as days_without_price,
    sum(usd) as unpriced_usd,
    array_to_string(list_sort(list_distinct(flatten(list(tiers_without_price)))), ', ') as tiers_without_price
  from as_they_were
  where list_usd is null
  group by all
),
instead as (
  select
    days.provider,
    days.model,
    by_day.to_provider,
    by_day.to_model,
    by_day.stated_tier,
    by_day.cached_share,
    by_day.is_stated,
    count(distinct usage_date) filter (where by_day.list_usd is not null) as days,
    sum(usd) filter (where by_day.list_usd is not null) as compared_usd,
    sum(days.list_usd) filter (where by_day.list_usd is not null) as list_usd,
    sum(by_day.list_usd) as list_usd_instead,
    array_to_string(list_sort(list_distinct(flatten(list(by_day.tiers_without_price)))), ', ') as tiers_without_instead
  from days
  join by_day using (connection, usage_date, provider, model)
  where by_day.is_stated
    or (not by_day.is_stated and (by_day.to_provider, by_day.to_model) in (select (provider, model) from listed))
  group by all
  having count(by_day.list_usd) > 0
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
    bool_and(is_known) as is_known,
    ['--table', 'costs.by_model_as_sent', '--where', 'provider=' || provider] as explained
  from billed
  group by all
  having model_usd <> 0 or not bool_and(is_known)
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
          stated_tier,
          printf('%g%% of the input cached', (cached_share * 100)::double)
        )
      when (models.provider, models.model) in (select (provider, model) from stated) then 'no list price of the other'
      else 'no cheaper model in use'
    end as instead,
    concat_ws('; ', tiers, 'no price: ' || tiers_without_price) as tiers,
    list_of,
    coalesce(chosen.days, listed.days) as days,
    coalesce(days_without_price, 0) as days_without_price,
    if(coalesce(compared_usd, listed_usd) = model_usd, explained, null) as of_costs,
    coalesce(compared_usd, listed_usd) as usd,
    model_usd - coalesce(compared_usd, listed_usd) as usd_left_out,
    nullif(
      concat_ws(
        '; ',
        'no list price: ' || tiers_without_price,
        if(compared_usd <> listed_usd, 'no list price of the other: ' || tiers_without_instead, null),
        if(
          listed_usd + coalesce(unpriced_usd, 0) = model_usd,
          null,
          'no tokens are reported for the day' || if(is_known, '', ', or its bill has no dollar value')
        )
      ),
      ''
    ) as left_out_because,
    coalesce(chosen.list_usd, listed.list_usd) as list_usd,
    list_usd_instead
  from models
  join listed using (provider, model)
  left join without_price using (provider, model)
  left join chosen using (provider, model)
  -- all that is stated, and the largest models
  qualify is_stated or dense_rank() over (order by model_usd desc, models.provider, models.model) <= 12
),
-- the models that are in no sum, as one row for each reason
others as (
  select
    if(min(provider) = max(provider), min(provider), 'several') as provider,
    array_to_string(list(provider || ' ' || model order by is_stated desc, model_usd desc, model)[:10], ', ')
      || if(count(*) > 10, ' and ' || count(*) - 10 || ' more', '') as model,
    case
      when (provider, model) not in (select (provider, model) from tokens) then 'no tokens are reported for it'
      when (provider, model) not in (select (provider, model) from priced_models) then 'no list price'
      when tiers_without_price is not null then 'no list price: ' || tiers_without_price
      when not is_known then 'its bill has no dollar value'
      else 'no day has tokens and a bill'
    end as instead,
    sum(model_usd) as usd
  from (select *, (provider, model) in (select (provider, model) from stated) as is_stated from models)
  left join without_price using (provider, model)
  anti join listed using (provider, model)
  group by instead
),
-- what is stated of a model that may be misspelled
without_bill as (
  select distinct provider, provider || ' ' || model as model, 'nothing is billed for it' as instead
  from stated
  anti join models using (provider, model)
)
select
  model,
  instead,
  of_costs,
  tiers,
  usd,
  list_usd_instead - list_usd as usd_change,
  list_usd_instead - usd as usd_difference_to_bill,
  list_usd as usd_list,
  list_usd_instead as usd_list_instead,
  usd - list_usd as usd_bill_less_list,
  round(usd / (select if(sum(billed.usd) > 0, sum(billed.usd), null) from billed), 4) as share_of_bill,
  days,
  days_without_price,
  usd_left_out,
  left_out_because,
  provider,
  list_of
from (from compared union all by name from others union all by name from without_bill)
order by days is null, usd desc nulls last, model, instead
