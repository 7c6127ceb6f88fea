-- holds: A budget's period that is over expects what was spent, unless a provider may still change one of its days. Each day of a
--   report that is not settled may be rounded to a cent
-- of: costs.budget_status
with
ended as (
  select budget_status.*, settled + provisional as spent
  from budget_status
  where last_day <= $last
    and expected is not null
    and not exists (
      from may_change
      where usage_date between first_day and last_day and (kind <> 'connection' or connection = id)
    )
),
rounded as (
  select source, budget, kind, id, first_day, 0.005 * count(usage_date) as tolerated
  from ended
  left join ledger.day_states
    on state = 'provisional'
    and usage_date between first_day and last_day
    and table_name in (select slice from ledger.stored_days where ledger.stored_days.table_name = 'costs.daily_costs')
  group by all
)
select
  format(
    'budget {}, {} to {}: {:,.2f} {} is expected of a period that is over, and {:,.2f} was spent',
    budget,
    first_day,
    last_day,
    expected::double,
    unit,
    spent::double
  )
from ended
join rounded using (source, budget, kind, id, first_day)
where abs(expected - spent) > tolerated
order by all
