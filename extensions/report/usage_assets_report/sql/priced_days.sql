-- tokens that each model was billed for per day and tier, and their list prices per million. usd_saved is what caching saved: cached tokens
-- at the price of input, less what reading them and writing the cache cost beyond it. usd_list is the list price of tokens of the
-- standard tier, and usd_batch what they would be in batches. null: a price or a counter is missing
with
used as (
  select
    usage_date,
    provider,
    model,
    coalesce(service_tier, 'standard') as tier,
    context_window,
    cached_input_tokens is not null as has_cache,
    coalesce(sum(input_tokens), 0)::decimal(18, 0) as input,
    coalesce(sum(cached_input_tokens), 0)::decimal(18, 0) as cached,
    coalesce(sum(cache_write_tokens), 0)::decimal(18, 0) as written,
    coalesce(sum(cache_write_1h_tokens), 0)::decimal(18, 0) as written_for_an_hour,
    coalesce(sum(output_tokens), 0)::decimal(18, 0) as generated
  from costs.usage
  where is_billed is distinct from false and input_tokens is not null and usage_date between $before_first and $last
  group by all
),
prices as (
  select
    * replace (
      input::decimal(14, 6) as input,
      cache_read::decimal(14, 6) as cache_read,
      cache_write::decimal(14, 6) as cache_write,
      cache_write_1h::decimal(14, 6) as cache_write_1h,
      output::decimal(14, 6) as output
    )
  from accounting.list_prices
)
select
  usage_date,
  used.provider,
  coalesce(used.model, 'no model') as model,
  has_cache,
  used.input as input_tokens,
  cached as cached_input_tokens,
  used.input - cached - written as missed_tokens,
  own.input as usd_input,
  own.cache_read as usd_cached,
  0.000001 * (
    if(cached = 0, 0, cached * (own.input - own.cache_read))
    - if(written = written_for_an_hour, 0, (written - written_for_an_hour) * (own.cache_write - own.input))
    - if(written_for_an_hour = 0, 0, written_for_an_hour * (own.cache_write_1h - own.input))
  ) as usd_saved,
  0.000001 * (
    (used.input - cached - written) * own.input
    + if(cached = 0, 0, cached * own.cache_read)
    + if(written = written_for_an_hour, 0, (written - written_for_an_hour) * own.cache_write)
    + if(written_for_an_hour = 0, 0, written_for_an_hour * own.cache_write_1h)
    + generated * own.output
  ) as usd_list,
  0.000001 * (
    (used.input - cached - written) * batch.input
    + if(cached = 0, 0, cached * batch.cache_read)
    + if(written = written_for_an_hour, 0, (written - written_for_an_hour) * batch.cache_write)
    + if(written_for_an_hour = 0, 0, written_for_an_hour * batch.cache_write_1h)
    + generated * batch.output
  ) as usd_batch
from used
left join prices as own
  on own.provider = used.provider
  and own.model = used.model
  and own.tier = used.tier
  and own.context_window is not distinct from used.context_window
  and usage_date between own.valid_from and coalesce(own.valid_until, date '9999-12-31')
left join prices as batch
  on used.tier = 'standard'
  and batch.tier = 'batch'
  and batch.provider = used.provider
  and batch.model = used.model
  and batch.context_window is not distinct from used.context_window
  and usage_date between batch.valid_from and coalesce(batch.valid_until, date '9999-12-31')
