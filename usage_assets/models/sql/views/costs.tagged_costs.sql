-- every cost once: a bill of models that [[tag_allocation]] names is split by the tags of the gateway's requests, everything else is
-- whole. What a tag used is the gateway's estimate. A model's bills of a day, of all connections that name the gateway, are one
-- pool, as the estimates of its requests are:
-- * A bill above the estimate: each tag has its estimate; the rest is not through the gateway, or costs more than it takes it for.
-- * A bill below the estimate: each tag has its share of it.
-- * Nothing is split where tags of the family cost more, or have more requests, than the model did with a key: then some
--   request has two of them, and nobody can say whose it is. Nor where nothing tells which bill the estimates are of.
-- The parts of a row add up to it to the last digit, as those of macros/part_of.sql do, which a view cannot use
-- reads: costs.allocated_costs_named, accounting.tag_allocations
create or replace view costs.tagged_costs as
with
tags as (
{tags}
),
entries as (
  select *, coalesce(valid_until, date '9999-12-31') as last_day
  from accounting.tag_allocations
),
bills as (
  select
    costs.*,
    coalesce(of_key.gateway, of_all.gateway) as gateway,
    coalesce(of_key.tags, of_all.tags) as tag_family,
    regexp_replace(lower(regexp_extract(costs.model, '[^/]*$')), '-20\d\d-?\d\d-?\d\d$', '') as gateway_model,
    row_number() over (partition by costs.connection, costs.usage_date) as bill
  from costs.allocated_costs_named as costs
  semi join accounting.tag_allocations as stated
    on stated.connection = costs.connection
  left join entries as of_key
    on of_key.connection = costs.connection
    and of_key.api_key = costs.api_key_id
    and costs.usage_date between of_key.valid_from and of_key.last_day
    and costs.cost_basis = 'billed'
    and costs.model is not null
  left join entries as of_all
    on of_all.connection = costs.connection
    and of_all.api_key is null
    and costs.usage_date between of_all.valid_from and of_all.last_day
    and costs.cost_basis = 'billed'
    and costs.model is not null
),
-- millionths of a millionth of a dollar, so that shares need whole units
pools as (
  select
    gateway,
    usage_date,
    gateway_model,
    any_value(provider) as provider,
    case
      when count(distinct provider) > 1 then 'several providers bill it'
      when count(amount_usd) < count(*) then 'a bill without dollars'
    end as refusal,
    replace(sum(amount_usd)::decimal(38, 12)::varchar, '.', '')::hugeint as billed
  from bills
  where gateway is not null
  group by gateway, usage_date, gateway_model
),
-- of one model and key of the gateway: what its tags of a family cost, each, and what everything did
uses as (
  select
    pools.* exclude (billed),
    families.tag_family,
    greatest(billed, 0) as billed,
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
estimates as (
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
tagged as (
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
of_tags as (
  select gateway, usage_date, gateway_model, tag_family, sum(units)::hugeint as units
  from tagged
  group by all
),
-- the tags, what has none of them, and what is above the estimate
shares as (
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
),
parts as (
  select
    bills.* exclude (gateway, tag_family),
    if(gateway is null, null, tag_family) as tag_family,
    tag,
    case
      when gateway is null then null
      when shares.units is not null then tag_allocation
      else coalesce(estimates.refusal, pools.refusal, 'no estimate')
    end as tag_allocation,
    coalesce(shares.units, 1) as tag_units,
    coalesce(shares.all_units, 1) as all_tag_units,
    abs(replace(native_amount::varchar, '.', '')::hugeint) as native_places,
    abs(replace(amount_usd::varchar, '.', '')::hugeint) as usd_places,
    native_places // all_tag_units * tag_units
    + native_places % all_tag_units * tag_units // all_tag_units as native_rounded,
    usd_places // all_tag_units * tag_units + usd_places % all_tag_units * tag_units // all_tag_units as usd_rounded
  from bills
  left join pools using (gateway, usage_date, gateway_model)
  left join estimates using (gateway, usage_date, gateway_model, tag_family)
  left join shares using (gateway, usage_date, gateway_model, tag_family)
)
select
  * exclude (gateway_model, bill, native_places, usd_places, native_rounded, usd_rounded)
    replace (
      (
        sign(native_amount) * (
          native_rounded
          + if(
            row_number() over (
              partition by connection, usage_date, bill
              order by native_places % all_tag_units * tag_units % all_tag_units desc, tag, tag_allocation
            ) <= native_places - sum(native_rounded) over (partition by connection, usage_date, bill),
            1,
            0
          )
        )::decimal(38, 0) * 0.000000000000000000000001
      )::decimal(38, 24) as native_amount,
      (
        sign(amount_usd) * (
          usd_rounded
          + if(
            row_number() over (
              partition by connection, usage_date, bill
              order by usd_places % all_tag_units * tag_units % all_tag_units desc, tag, tag_allocation
            ) <= usd_places - sum(usd_rounded) over (partition by connection, usage_date, bill),
            1,
            0
          )
        )::decimal(38, 0) * 0.000000000000000000000001
      )::decimal(38, 24) as amount_usd
    )
from parts
union all by name
from costs.allocated_costs_named
anti join accounting.tag_allocations using (connection);

comment on view costs.tagged_costs is
  'Every cost once, split by the tags of a gateway where [[tag_allocation]] says so. Filter by cost_basis; never add it to costs.daily_costs'
;

create or replace view costs.by_tag as
select
  connection,
  provider,
  usage_date,
  model,
  tag_family,
  tag,
  tag_allocation,
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if(count(*) filter (where amount_usd is null and native_amount <> 0) = 0, sum(amount_usd), null) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd
from costs.tagged_costs
group by all;

comment on view costs.by_tag is
  'One row per connection, day, model, tag, cost basis, unit and currency: docs/money.md. Add amount_usd within one cost_basis only'
