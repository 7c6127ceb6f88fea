-- each day of {table} adds up to the rows that it was computed from (SourceRows). Whole units of a currency are compared in
-- its smallest: another arithmetic than major_units, which may round half of an amount's last place
-- says: {{total}}: {table} holds {{found}}, and the rows that it is computed from hold {{expected}}
select
  connection,
  usage_date,
  {total} as total,
  {unit} as unit,
  {scale} as scale,
  coalesce(sum(in_rows), {nothing}) as expected,
  coalesce(sum(in_table), {nothing}) * scale as found
from (
  unpivot (
    {rows}
  )
  on {measures}
  into name measure value in_rows
  union all by name
  unpivot (
    select connection, usage_date, {found}
    from {table}
    where {in_part}
  )
  on {measures}
  into name measure value in_table
)
{join}
group by connection, usage_date, measure{by}
having coalesce(abs(expected - found) > {tolerance}, true)
