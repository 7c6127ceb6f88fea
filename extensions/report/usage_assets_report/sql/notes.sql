-- title: Notes
-- short: {name}, {scope}: {text}
-- note: What the connections file says about these days ([[note]]), and the incidents that it explains: those of its days and scope, or
--   any if it is about everything.
with
explained as (
  select
    notes.name,
    notes.valid_from,
    string_agg(
      first_day || if(score is null, ' guardrail ', ' ') || what || ' of ' || if(kind = 'all', 'everything', kind || ' ' || anomalies.name),
      '; '
      order by first_day, what, kind, anomalies.name
    ) as explains
  from accounting.notes
  join costs.anomalies
    on first_day <= coalesce(valid_until, date '9999-12-31')
    and last_day >= valid_from
    and (scope_type = 'all' or (kind = scope_type and scope_id in (id, anomalies.name)))
  where closed_on is null
  group by all
)
select
  name,
  if(scope_type = 'all', 'everything', scope_type || ' ' || scope_id) as scope,
  valid_from as first_day,
  valid_until as last_day,
  text,
  explains
from accounting.notes
left join explained using (name, valid_from)
where valid_from <= $last and coalesce(valid_until, date '9999-12-31') >= $first
order by first_day, name
