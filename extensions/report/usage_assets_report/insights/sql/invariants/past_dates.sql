-- holds: A past day on which a budget was used up is the one on which stored amounts have reached it. A period that is over and within
--   its budget has no such day
-- of: costs.budget_status
with
spent as (
  select
    *,
    sum(amount_of_day) over (partition by source, budget, kind, id, first_day order by usage_date) as so_far
  from days_of_periods
),
reached as (
  select
    source,
    budget,
    kind,
    id,
    first_day,
    min(usage_date) filter (where so_far >= amount) as reached_on
  from budget_status
  left join spent using (source, budget, kind, id, first_day)
  group by all
)
select
  format(
    'budget {}, {} to {}: used up on {}, and stored amounts {}',
    budget,
    first_day,
    last_day,
    exhausted_on,
    case
      when last_day <= $last and settled + provisional < amount
        then format('are only {:,.2f} {} of {:,.2f}', (settled + provisional)::double, unit, amount::double)
      when reached_on is null then format('have not reached {:,.2f} {}', amount::double, unit)
      else format('have reached {:,.2f} {} on {}', amount::double, unit, reached_on)
    end
  )
from budget_status
join reached using (source, budget, kind, id, first_day)
where exhausted_on <= $last
  and (reached_on is distinct from exhausted_on or (last_day <= $last and settled + provisional < amount))
order by all
