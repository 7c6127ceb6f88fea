-- each day of {table} adds up to the rows that it was computed from. A file in checks/ selects those rows, and its comments
-- declare what is added up (sums), per what (by), what a sum is called (total), its unit (unit), and whether null differs from
-- 0 (nulls: unknown)
-- says: {{total}}: {table} holds {{found}}, and the rows that it is computed from hold {{expected}}
select
  connection,
  usage_date,
  {total} as total,
  {unit} as unit,
  coalesce(sum(expected), {nothing}) as expected,
  coalesce(sum(found), {nothing}) as found
from (
  unpivot (
    select connection, usage_date, {by}{sums}
    from (
{expected}
    )
  )
  on {sums}
  into name measure value expected
  union all by name
  unpivot (
    select connection, usage_date, {by}{sums}
    from {table}
    where {in_part}
  )
  on {sums}
  into name measure value found
)
group by connection, usage_date, {by}measure
having coalesce(sum(expected), {nothing}) is distinct from coalesce(sum(found), {nothing})
