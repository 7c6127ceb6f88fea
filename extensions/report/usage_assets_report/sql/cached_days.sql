-- what each model read per day, of billed reports that state what was read from a cache, and what that saved at list prices: cached
-- tokens at the price of input, less what reading them and writing the cache cost beyond it. usd_saved is null without a price
with
used as (
  select
    usage_date,
    provider,
    model,
    coalesce(service_tier, 'standard') as tier,
    context_window,
    coalesce(sum(input_tokens), 0)::decimal(18, 0) as input,
    coalesce(sum(cached_input_tokens), 0)::decimal(18, 0) as cached,
    coalesce(sum(cache_write_tokens), 0)::decimal(18, 0) as written,
    coalesce(sum(cache_write_1h_tokens), 0)::decimal(18, 0) as written_for_an_hour
  from costs.usage
  where is_billed is distinct from false
    and cached_input_tokens is not null
    and usage_date between $before_first and $last
  group by all
)
select
  usage_date,
  used.provider,
  coalesce(used.model, 'no model') as model,
  used.input as input_tokens,
  cached as cached_input_tokens,
  0.000001 * (
    if(cached = 0, 0, cached * (prices.input - cache_read)::decimal(14, 6))
    - if(written = written_for_an_hour, 0, (written - written_for_an_hour) * (cache_write - prices.input)::decimal(14, 6))
    - if(written_for_an_hour = 0, 0, written_for_an_hour * (cache_write_1h - prices.input)::decimal(14, 6))
  ) as usd_saved
from used
left join accounting.list_prices as prices
  on prices.provider = used.provider
  and prices.model = used.model
  and prices.tier = used.tier
  and prices.context_window is not distinct from used.context_window
  and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
