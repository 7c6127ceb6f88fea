-- how the bill of each model and API key is split by the tags of a gateway's requests, where [[tag_allocation]] says so: one row per
-- tag, for use without one, and for what is above the gateway's estimate; or one with the reason why nothing is split. What a tag
-- used is the gateway's estimate. A model's bills of a day, of all connections that name the gateway, are one pool, as the
-- estimates of its requests are:
-- * A bill above the estimate: each tag has its estimate; the rest is not through the gateway, or costs more than it takes it for.
-- * A bill below the estimate: each tag has its share of it.
-- * Nothing is split where tags of the family cost more, or have more requests, than the model did with a key: then some
--   request has two of them, and nobody can say whose it is. Nor where nothing tells which bill the estimates are of.
-- reads: costs.allocated_costs_named, costs.gateway_tags, accounting.tag_allocations
-- columns: costs.allocated_costs_named
-- column connection: Connection whose bill is split
-- column gateway: Connection of the gateway
-- column model_family: Family of the model
-- column tag_family: Prefix of the tags that split the bill, as [[tag_allocation]] says
-- column tag: Tag; null: the part of no tag
-- column tag_allocation: estimate: what the tag used; without tag; not through the gateway; otherwise why nothing is split. Null: no
--   [[tag_allocation]]
-- column tag_units: Share of the tag; not tokens [all_tag_units]
-- column all_tag_units: What the shares of the bill add up to
create or replace view costs.tag_shares as
with
entries as (
  select *, coalesce(valid_until, date '9999-12-31') as last_day
  from accounting.tag_allocations
),
bills as (
  select
    costs.connection,
    costs.usage_date,
    costs.provider,
    costs.model,
    costs.api_key_id,
    coalesce(of_key.gateway, of_all.gateway) as gateway,
    coalesce(of_key.tags, of_all.tags) as tag_family,
    sum(costs.amount_usd) as amount_usd,
    count(*) filter (where costs.amount_usd is null and costs.native_amount <> 0) > 0 as lacks_dollars
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
    and coalesce(of_key.gateway, of_all.gateway) is not null
  group by all
),
-- of sums: a filter of days does not reach the costs if their rows are joined with the rules
bills_of_families as (
  select bills.*, means.family as model_family
  from bills
  join lateral (
{model_rules of bills.provider, bills.model}
  ) as means
    on true
),
pooled as (
  select
    *,
    case
      when min(provider) over pool < max(provider) over pool then 'several providers bill it'
      when bool_or(lacks_dollars) over pool then 'a bill without dollars'
    end as refusal,
    -- millionths of a millionth of a dollar, so that shares need whole units
    greatest(replace((sum(amount_usd) over pool)::decimal(38, 12)::varchar, '.', '')::hugeint, 0) as billed
  from bills_of_families
  window pool as (partition by gateway, usage_date, model_family)
),
used_of_families as (
  select tags.*, means.family as model_family
  from costs.gateway_tags as tags
  join lateral (
{model_rules of tags.provider, tags.gateway_model as model}
  ) as means
    on true
),
-- of each model and key of the gateway: what its tags of the family cost, each, and what everything did
uses as (
  select
    pooled.* exclude (amount_usd),
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
  from pooled
  left join used_of_families as tags
    on tags.connection = pooled.gateway
    and tags.usage_date = pooled.usage_date
    and tags.model_family = pooled.model_family
    and (tags.named_provider is null or tags.named_provider = pooled.provider)
    and (tag is null or starts_with(tag, pooled.tag_family))
  window one_use as (partition by pooled.connection, pooled.usage_date, pooled.model, pooled.api_key_id, use)
),
tagged as (
  select
    connection,
    usage_date,
    model,
    api_key_id,
    gateway,
    model_family,
    tag_family,
    billed,
    tag,
    refusal,
    bool_or(is_overlapping) as is_overlapping,
    count(use) > 0 as is_used,
    greatest(replace(coalesce(sum(amount_usd), 0)::decimal(38, 12)::varchar, '.', '')::hugeint, 0) as units
  from uses
  group by all
),
estimated as (
  select
    * exclude (refusal, is_overlapping, is_used),
    case
      when refusal is not null then refusal
      when not bool_or(is_used) over bill then 'no estimate'
      when bool_or(is_overlapping) over bill then 'tags overlap'
    end as refusal,
    row_number() over (bill order by tag nulls first) = 1 as is_first,
    coalesce(sum(units) filter (tag is null) over bill, 0)::hugeint as all_use,
    coalesce(sum(units) filter (tag is not null) over bill, 0)::hugeint as of_tags
  from tagged
  window bill as (partition by connection, usage_date, model, api_key_id)
),
-- the tags, what has none of them, and what is above the estimate; or why nothing is split
shares as (
  select
    * exclude (refusal, is_first, all_use, of_tags, billed, units, tag),
    unnest(
      case
        when refusal is not null and is_first
          then [{'tag': null::varchar, 'tag_allocation': refusal, 'tag_units': 1::hugeint}]
        when refusal is not null then []
        else list_filter(
          [
            {'tag': tag, 'tag_allocation': 'estimate', 'tag_units': if(tag is null, 0, units)},
            {
              'tag': null::varchar,
              'tag_allocation': 'without tag',
              'tag_units': if(is_first, greatest(all_use - of_tags, 0), 0)
            },
            {
              'tag': null::varchar,
              'tag_allocation': 'not through the gateway',
              'tag_units': if(is_first, greatest(billed - greatest(all_use, of_tags), 0), 0)
            },
            {
              'tag': null::varchar,
              'tag_allocation': 'no estimate',
              'tag_units': if(is_first and greatest(all_use, of_tags, billed) = 0, 1, 0)
            }
          ],
          lambda share: share.tag_units > 0
        )
      end,
      recursive := true
    )
  from estimated
),
-- a product of two units must fit a HUGEINT: of more than 18 digits, the last ones are cut off
short as (
  select * exclude (all_units) replace (
      (tag_units // ('1' || repeat('0', greatest(length(all_units::varchar) - 18, 0)))::hugeint)::hugeint as tag_units
    )
  from (
    select
      *,
      (sum(tag_units) over (partition by connection, usage_date, model, api_key_id))::hugeint as all_units
    from shares
  )
)
select
  *,
  (sum(tag_units) over (partition by connection, usage_date, model, api_key_id))::hugeint as all_tag_units
from short
where tag_units > 0;

comment on view costs.tag_shares is
  'One row per connection, day, model, API key, tag, and how it was found: tag_units of all_tag_units of the bill. docs/money.md'
