-- every cost once: what costs.tag_shares splits in its parts, everything else whole. The parts of a row add up to it to the last
-- digit
-- reads: costs.allocated_costs_named, costs.tag_shares, accounting.tag_allocations
-- columns: costs.allocated_costs_named
-- column native_amount: Amount; of a bill that tags split, the part of the tag [native_unit; cost_basis; within currency]
-- column amount_usd: The same amount in dollars; null where unknown [USD; cost_basis]
-- column tag_family: Prefix of the tags that split the bill, as [[tag_allocation]] says
-- column tag: Tag; null: the part of no tag
-- column tag_allocation: estimate: what the tag used; without tag; not through the gateway; otherwise why nothing is split. Null: no
--   [[tag_allocation]], or no model
-- column tag_units: Share of the tag; not tokens [all_tag_units]
-- column all_tag_units: What the shares of the bill add up to
-- column costs.by_tag.native_amount: Sum of the amounts [native_unit; cost_basis; within currency]
-- column costs.by_tag.amount_usd: Sum in dollars; null where a part has no dollar value. Add within one cost_basis only
--   [USD; cost_basis]
-- column costs.by_tag.rows_without_usd: Rows of the sum that have no dollar value, also those of an amount of 0 [rows]
{stored part_of}
create or replace view costs.tagged_costs as
with
bills as (
  select *, row_number() over (partition by connection, usage_date) as bill
  from costs.allocated_costs_named
  semi join accounting.tag_allocations using (connection)
),
split as (
  select
    bills.*,
    shares.tag_family,
    shares.tag,
    shares.tag_allocation,
    coalesce(shares.tag_units, 1) as tag_units,
    coalesce(shares.all_tag_units, 1) as all_tag_units
  from bills
  left join costs.tag_shares as shares
    on shares.connection = bills.connection
    and shares.usage_date = bills.usage_date
    and shares.model = bills.model
    and shares.api_key_id is not distinct from bills.api_key_id
    and bills.cost_basis = 'billed'
),
shares as (
  select
    *,
    costs.share_of(native_amount, tag_units, all_tag_units) as native_share,
    costs.share_of(amount_usd, tag_units, all_tag_units) as usd_share,
    [tag, tag_allocation] as tie
  from split
)
select
  * exclude (bill, native_share, usd_share, tie)
    replace (
      costs.part_of(native_share, connection, usage_date, bill, tie) as native_amount,
      costs.part_of(usd_share, connection, usage_date, bill, tie) as amount_usd
    )
from shares
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
