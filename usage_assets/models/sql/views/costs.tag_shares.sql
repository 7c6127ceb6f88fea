-- how the bill of each model and API key is split by the tags of a gateway's requests, where [[tag_allocation]] says so: one row per
-- tag, for use without one, and for what is above the gateway's estimate; or one with the reason why nothing is split. What a tag
-- used is the gateway's estimate. A model's bills of a day, of all connections that name the gateway, are one pool, as the
-- estimates of its requests are:
-- * A bill above the estimate: each tag has its estimate; the rest is not through the gateway, or costs more than it takes it for.
-- * A bill below the estimate: each tag has its share of it.
-- * Nothing is split where tags of the family cost more, or have more requests, than the model did with a key: then some
--   request has two of them, and nobody can say whose it is. Nor where nothing tells which bill the estimates are of.
-- reads: costs.allocated_costs_named, accounting.tag_allocations
create or replace view costs.tag_shares as
with
tags as not materialized (
{tags}
),
entries as not materialized (
  select *, coalesce(valid_until, date '9999-12-31') as last_day
  from accounting.tag_allocations
),
bills as not materialized (
  select
    costs.connection,
    costs.usage_date,
    costs.provider,
    costs.model,
    costs.api_key_id,
    coalesce(of_key.gateway, of_all.gateway) as gateway,
    coalesce(of_key.tags, of_all.tags) as tag_family,
    regexp_replace(lower(regexp_extract(costs.model, '[^/]*$')), '-20\d\d-?\d\d-?\d\d$', '') as gateway_model,
    sum(costs.amount_usd) as amount_usd,
    count(costs.amount_usd) < count(*) as lacks_dollars
  from costs.allocated_costs_named as costs
  semi join accounting.tag_allocations as stated
    on stated.connection = costs.connection
  left join entries as of_key
    on of_key.connection = costs.connection
    and of_key.api_key = costs.api_key_id
    and costs.usage_date between of_key.valid_from and of_key.last_day
  left join entries as of_all
    on of_all.connection = costs.connection
    and of_all.api_key is null
    and costs.usage_date between of_all.valid_from and of_all.last_day
  where costs.cost_basis = 'billed'
    and costs.model is not null
    and coalesce(of_key.gateway, of_all.gateway) is not null
  group by all
),
-- millionths of a millionth of a dollar, so that shares need whole units
pools as not materialized (
  select
    gateway,
    usage_date,
    gateway_model,
    any_value(provider) as provider,
    case
      when count(distinct provider) > 1 then 'several providers bill it'
      when bool_or(lacks_dollars) then 'a bill without dollars'
    end as refusal,
    greatest(replace(sum(amount_usd)::decimal(38, 12)::varchar, '.', '')::hugeint, 0) as billed
  from bills
  group by gateway, usage_date, gateway_model
),
-- of one model and key of the gateway: what its tags of a family cost, each, and what everything did
uses as not materialized (
  select
    pools.*,
    families.tag_family,
    use,
    tag,
    tags.amount_usd,
    coalesce(
      sum(tags.amount_usd) filter (tag is not null) over one_use
        > coalesce(sum(tags.amount_usd) filter (tag is null) over one_use, 0) + count(*) over one_use * 0.000000000001
      or sum(requests) filter (tag is not null) over one_use
        > coalesce(sum(requests) filter (tag is null) over one_use, 0),
      false
    ) as is_overlapping
  from pools
  join (select distinct gateway, tag_family from bills) as families using (gateway)
  join tags
    on tags.connection = pools.gateway
    and tags.usage_date = pools.usage_date
    and tags.gateway_model = pools.gateway_model
    and (tags.named_provider is null or tags.named_provider = pools.provider)
    and (tag is null or starts_with(tag, families.tag_family))
  window one_use as (partition by pools.gateway, pools.usage_date, pools.gateway_model, families.tag_family, use)
),
estimates as not materialized (
  select
    gateway,
    usage_date,
    gateway_model,
    tag_family,
    any_value(billed) as billed,
    coalesce(any_value(refusal), if(bool_or(is_overlapping), 'tags overlap', null)) as refusal,
    greatest(
      replace(coalesce(sum(amount_usd) filter (tag is null), 0)::decimal(38, 12)::varchar, '.', '')::hugeint,
      0
    ) as estimated
  from uses
  group by gateway, usage_date, gateway_model, tag_family
),
tagged as not materialized (
  select
    gateway,
    usage_date,
    gateway_model,
    tag_family,
    tag,
    replace(sum(amount_usd)::decimal(38, 12)::varchar, '.', '')::hugeint as units
  from uses
  semi join (from estimates where refusal is null) using (gateway, usage_date, gateway_model, tag_family)
  where tag is not null
  group by all
  having units > 0
),
of_tags as not materialized (
  select gateway, usage_date, gateway_model, tag_family, sum(units)::hugeint as units
  from tagged
  group by all
),
-- the tags, what has none of them, and what is above the estimate
shares as not materialized (
  select
    *,
    sum(units) over (partition by gateway, usage_date, gateway_model, tag_family)::hugeint as all_units
  from (
    select *, 'estimate' as tag_allocation
    from tagged
    union all by name
    select
      estimates.* exclude (billed, estimated, refusal),
      rest.tag_allocation,
      rest.units
    from estimates
    left join of_tags using (gateway, usage_date, gateway_model, tag_family)
    cross join lateral (
      values
        ('without tag', greatest(estimated - coalesce(of_tags.units, 0), 0)),
        ('not through the gateway', greatest(billed - greatest(estimated, coalesce(of_tags.units, 0)), 0))
    ) as rest (tag_allocation, units)
    where refusal is null
  )
  where units > 0
)
select
  bills.* exclude (provider, amount_usd, lacks_dollars, gateway_model),
  tag,
  if(shares.units is null, coalesce(estimates.refusal, pools.refusal, 'no estimate'), tag_allocation) as tag_allocation,
  coalesce(shares.units, 1) as tag_units,
  coalesce(shares.all_units, 1) as all_tag_units
from bills
join pools using (gateway, usage_date, gateway_model)
left join estimates using (gateway, usage_date, gateway_model, tag_family)
left join shares using (gateway, usage_date, gateway_model, tag_family);

comment on view costs.tag_shares is
  'One row per connection, day, model, API key, tag, and how it was found: tag_units of all_tag_units of the bill. docs/money.md'
