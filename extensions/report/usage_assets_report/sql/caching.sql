-- title: Input from a cache
-- short: {model}: {cached_share} of the input cached[, {usd_saved} saved]
-- note: Of reports of billed use that state what was read from a cache. Saved: what the cached tokens would have cost as other input, less
--   what reading them and writing the cache cost, at public list prices. An estimate: discounts of a contract are not in it. Tokens
--   without a list price saved an unknown amount.
with
priced_days as (
{priced_days}
)
select
  model,
  provider,
  sum(input_tokens)::bigint as input_tokens,
  sum(cached_input_tokens)::bigint as cached_input_tokens,
  round(sum(cached_input_tokens) / nullif(sum(input_tokens), 0), 4) as cached_share,
  sum(usd_saved) as usd_saved,
  coalesce(sum(cached_input_tokens) filter (where usd_saved is null), 0)::bigint as cached_tokens_without_price
from priced_days
where has_cache and usage_date between $first and $last
group by model, provider
having sum(input_tokens) > 0
order by usd_saved desc nulls last, input_tokens desc, model, provider
