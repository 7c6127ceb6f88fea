-- title: By tag of a gateway
-- short: {connection}, [tag {tag}|no tag]: [{usd}|unknown amount] billed, {found_by}
-- note: What [[tag_allocation]] splits. The money is the bill's; how much of it each tag caused is the gateway's estimate. Rows without a
--   tag say why nobody's tag is known.
-- explain: {of_costs} {days} --connection {connection} --where tag_family={family} --where tag={tag} --where tag_allocation={found_by}
--   --where cost_basis=billed --column amount_usd
-- materialized, because DuckDB 1.5 then plans costs.by_tag once: that takes longer than its rows
with tags as materialized (
  select
    connection,
    tag_family,
    tag,
    tag_allocation,
    count(distinct usage_date) as days,
    if(count(amount_usd) = count(*), sum(amount_usd), null) as usd
  from costs.by_tag
  where usage_date between $first and $last and cost_basis = 'billed' and tag_allocation is not null
  group by all
)
select
  connection,
  tag_family as family,
  if(rank <= 50, tag, 'other tags') as tag,
  if(rank <= 50, ['--table', 'costs.by_tag'], null) as of_costs,  -- for explain
  tag_allocation as found_by,
  max(days) as days,
  if(count(usd) = count(*), sum(usd), null)::decimal(38, 24) as usd
from (select *, if(tag is null, 0, row_number() over (partition by tag is null order by usd desc nulls last, tag)) as rank from tags)
group by all
order by connection, family, usd desc nulls last, tag, found_by
