-- each day of {table} adds up, per currency, to the rows that it was computed from. A file in checks/ selects those rows, with
-- amounts in the smallest unit of their currency, and its comments declare the amounts (minor_units), and as in sums.sql by,
-- total and nulls. It counts in minor units: another arithmetic than major_units, which may round half of an amount's last place
-- says: {{total}}: {table} holds {{found}}, and the rows that it is computed from hold {{expected}}
select
  connection,
  usage_date,
  {total} as total,
  concat(currency, ' minor units') as unit,
  any_value((1 / coalesce(minor_unit, 0.01))::integer) as minor_units_of_one,
  coalesce(sum(in_minor_units), {nothing}) as expected,
  coalesce(sum(in_whole_units), {nothing}) * minor_units_of_one as found
from (
  unpivot (
    select connection, usage_date, {by}{sums}
    from (
{expected}
    )
  )
  on {sums}
  into name measure value in_minor_units
  union all by name
  unpivot (
    select connection, usage_date, {by}{sums}
    from {table}
    where {in_part}
  )
  on {sums}
  into name measure value in_whole_units
)
left join accounting.currencies using (currency)
group by connection, usage_date, currency, measure
having coalesce(
  abs(expected - found) > count(in_whole_units) * minor_units_of_one * 0.000000000000000000000001, true
)
