-- stored days of a bill that are not stored as its files are. Days between two changed ones of a set are changed, too: a set is
-- stored together
-- reads: ledger.bill_sets, ledger.bill_days, ledger.accepted_bill_days, ledger.stored_days
-- columns: ledger.bill_days
create or replace view ledger.bill_states as
with days as (
  select
    bill_days.*,
    files is null as is_gone,
    not is_gone and files is distinct from files_read as is_unread,
    said is not null and covers and not is_gone as is_covering,
    is_unread and missing is not null as waits,
    missing,
    coalesce(bill_sets.changed_at, stored_days.written_at) as since,
    accepted.accepted_at,
    accepted.accepted_by
  from ledger.bill_days
  join ledger.stored_days using (connection, table_name, usage_date)
  left join ledger.bill_sets using (connection, table_name, set_name)
  left join (
    from ledger.accepted_bill_days where stored_at is null
  ) as accepted using (connection, table_name, usage_date)
),
unread as (
  select
    connection,
    table_name,
    bool_or(period_last is null) as of_any_day,
    max(period_last + 1) as until,
    bool_or(missing is not null) as waits
  from ledger.bill_sets
  where files is not null and files is distinct from files_read
  group by all
),
-- what sets that are there say of a stored day, and whether one that is not read yet may say something
others as (
  select
    connection,
    table_name,
    usage_date,
    count(*) filter (is_covering) as covered_by,
    bool_or(covers) as was_covered,
    string_agg(set_name, ' and ' order by set_name) filter (is_covering) as covering,
    bool_or(said is not null and not covers and not is_gone and stored is null) as is_corrected,
    coalesce(any_value(of_any_day or usage_date <= until), false) as may_be_read,
    coalesce(any_value(unread.waits), false) as others_wait
  from days
  left join unread using (connection, table_name)
  group by all
),
found as (
  select
    days.*,
    others_wait,
    if(covered_by > 1, covering, null) as sets_of_the_day,
    case
      when archived_at is not null then 'archived'
      when stored is not null and said is null and if(covers, covered_by = 0, not is_corrected and (is_gone or not was_covered))
      then
        case
          when accepted_at is not null then 'accepted'
          when may_be_read then 'changed'
          else 'withdrawn'
        end
      when said is distinct from stored or is_unread then 'changed'
    end as state
  from days
  join others using (connection, table_name, usage_date)
),
-- the changed days of a set, and those that it covers and that are not stored yet: they are stored in one run. So are the
-- other days that it corrects
together as (
  select
    connection,
    table_name,
    set_name,
    covers,
    min(usage_date) as first_changed,
    max(usage_date) as last_changed,
    max(since) as since
  from (
    select connection, table_name, set_name, usage_date, covers, since
    from found
    where state in ('changed', 'accepted') and (covers or said is distinct from stored)
    union all
    select connection, table_name, set_name, usage_date, covers, null as since
    from ledger.bill_days
    anti join ledger.stored_days using (connection, table_name, usage_date)
    where covers and said is not null
  )
  group by all
  having count(since) > 0
),
stated as (
  select
    connection,
    usage_date,
    table_name,
    set_name,
    coalesce(state, 'changed') as state,
    waits or (said is null and state = 'changed' and others_wait) as waits,
    found.since,
    case
      when state = 'archived' then set_name || ' is not there any more, and files are kept for a limited time'
      when state = 'accepted' then 'withdrawn, which ' || accepted_by || ' has accepted: it is cleared'
      when state = 'withdrawn' then set_name || if(is_gone, ' is not there any more', ' no longer has charges of these days')
      when waits then missing
      when sets_of_the_day is not null then sets_of_the_day || ' both cover it'
      when said is null then set_name || ' no longer says anything about it'
      else set_name || ' has changed'
    end as because
  from found
  left join together using (connection, table_name, set_name, covers)
  where state is not null or (covers and usage_date between first_changed and last_changed)
)
from stated
union all
-- days between those that change where a set has charges beside the days that it covers: a run has contiguous days, and at most 186
select
  connection,
  usage_date,
  table_name,
  set_name,
  'changed' as state,
  false as waits,
  since,
  set_name || ' has changed what it corrects' as because
from (
  select
    connection,
    table_name,
    set_name,
    max(since) as since,
    unnest(generate_series(min(first_changed), max(last_changed), interval 1 day))::date as usage_date
  from together
  group by connection, table_name, set_name
  having not bool_and(covers) and max(last_changed) - min(first_changed) < 186
)
semi join ledger.stored_days using (connection, table_name, usage_date)
anti join stated using (connection, table_name, usage_date, set_name)
union all
-- a set that was never read and whose path names a period: it may cover or correct the stored days of that, and the next one
select
  bill_sets.connection,
  usage_date,
  bill_sets.table_name,
  set_name,
  'changed' as state,
  missing is not null as waits,
  changed_at as since,
  coalesce(missing, set_name || ' is new') as because
from ledger.bill_sets
join ledger.stored_days
  on stored_days.connection = bill_sets.connection
  and stored_days.table_name = bill_sets.table_name
  and stored_days.usage_date between period_first and period_last + 1
where files is not null and files_read is null
