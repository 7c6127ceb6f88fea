-- title: Unit costs
-- short: {scope}, {metric}: [{usd_per_unit} each|unit cost unknown]
-- note: Dollars divided by output, over the days that have both. Before and "on same days" are of the days that have both in both periods:
--   compare these two. A tool whose cost the bill does not show is set against its provider's estimate of it, everything else against all
--   that its connection, team or project cost, whatever that was for. USD left out are dollars whose output is not known; "Left out
--   because" says why. Each row repeats the same dollars. Never add rows. People are counted once in the period. Rounded half up to 6
--   decimal places.
-- explain: {of_costs} {days} --where cost_basis={cost_basis} --column amount_usd
with
days as materialized (
  select
    *,
    amount_usd is not null and quantity is not null as has_both,
    usage_date >= $first as is_now,
    -- the first day is compared with the first
    has_both and count(*) filter (where has_both) over (
      partition by
        scope_type,
        scope_id,
        source,
        cost_source,
        metric,
        cost_basis,
        usage_date - if(usage_date >= $first, $first::date, $before_first::date)
    ) = 2 as is_compared
  from costs.unit_costs
  where usage_date between $before_first and $before_same or usage_date between $first and $last
  -- a cost basis that a connection does not have is no row
  qualify source = 'accounting.metrics'
    or coalesce(
      sum(amount_usd + coalesce(left_out_usd, 0)) over (partition by is_now, scope_type, scope_id, source, metric, cost_basis),
      if(cost_basis = 'billed', 1, 0)
    ) <> 0
),
-- all of a period's days, and those that are compared
sides as materialized (
  select *, unnest(if(is_compared, [false, true], [false])) as on_same_days
  from days
),
people as (
  select is_now, on_same_days, days.scope_id, days.source, days.metric, days.cost_basis, count(distinct person_id) as people
  from costs.active_people
  join sides as days
    on days.usage_date = active_people.usage_date
    and days.scope_id = active_people.connection
    and days.source = active_people.source
    and days.cost_basis = coalesce(active_people.cost_basis, days.cost_basis)
  where days.metric = 'active_people'
    and days.has_both
  group by all
),
sums as (
  select
    is_now,
    on_same_days,
    scope_type,
    scope_id,
    source,
    cost_source,
    metric,
    cost_basis,
    sum(amount_usd) filter (where has_both) as usd,
    coalesce(any_value(people), sum(quantity) filter (where has_both)) as quantity,
    count(*) filter (where has_both) as days_with_both,
    coalesce(sum(amount_usd) filter (where not has_both), 0) + coalesce(sum(left_out_usd), 0) as usd_left_out,
    nullif(
      array_to_string(
        list_sort(
          list_distinct(flatten(list([if(has_both, null, coalesce(usd_reason, quantity_reason)), left_out_reason])))
        ),
        ', '
      ),
      ''
    ) as left_out_because
  from sides
  left join people using (is_now, on_same_days, scope_id, source, metric, cost_basis)
  group by all
),
-- integers, with 24 and 18 decimal places: their quotient has 6
divided as (
  select
    *,
    abs(replace(nullif(usd, 0)::varchar, '.', '')::hugeint) as dividend,
    (nullif(quantity, 0)::decimal(20, 6) * 1000000)::hugeint * 1000000000000 as divisor,
    (sign(usd) * (dividend // divisor + if(2 * (dividend % divisor) >= divisor, 1, 0)))::decimal(32, 0) * 0.000001 as usd_per_unit
  from sums
)
select
  case scope_type when 'all' then 'everything' when 'connection' then scope_id else scope_type || ' ' || scope_id end as scope,
  replace(metric, '_', ' ') as metric,
  of_costs,  -- for explain
  usd_per_unit,
  usd_per_unit_on_same_days,
  usd_per_unit_before,
  cost_basis,
  usd,
  quantity,
  days_with_both,
  days_in_period,
  usd_left_out,
  left_out_because,
  source
from (
  select
    now.*,
    same.usd_per_unit as usd_per_unit_on_same_days,
    former.usd_per_unit as usd_per_unit_before,
    $last::date - $first::date + 1 as days_in_period,
    case
      when now.days_with_both < days_in_period or now.usd_left_out <> 0 or now.scope_type = 'project' then null
      when now.cost_source is not null
        then ['--table', 'costs.daily_costs', '--connection', now.scope_id, '--where', 'source_table=' || now.cost_source]
      when now.scope_type = 'all' then ['--table', 'costs.by_day']
      else ['--table', if(now.scope_type = 'team', 'costs.by_team', 'costs.by_day'), '--' || now.scope_type, now.scope_id]
    end as of_costs
  from divided as now
  left join (from divided where is_now and on_same_days) as same
    on same.scope_type = now.scope_type
    and same.scope_id is not distinct from now.scope_id
    and same.source = now.source
    and same.cost_source is not distinct from now.cost_source
    and same.metric = now.metric
    and same.cost_basis = now.cost_basis
  left join (from divided where not is_now and on_same_days) as former
    on former.scope_type = now.scope_type
    and former.scope_id is not distinct from now.scope_id
    and former.source = now.source
    and former.cost_source is not distinct from now.cost_source
    and former.metric = now.metric
    and former.cost_basis = now.cost_basis
  where now.is_now and not now.on_same_days
)
order by
  array_position(['all', 'team', 'project', 'connection'], scope_type),
  scope_id,
  metric,
  cost_basis
