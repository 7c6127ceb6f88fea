-- each day of {table} adds up to the rows that it was computed from. A file in checks/ selects those rows, and its comments
-- declare what is added up (sums), per what (by), what a sum is called (total), and whether null differs from 0 (nulls: unknown)
select
  connection,
  usage_date,
  {total} as total,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
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
having {differ}
