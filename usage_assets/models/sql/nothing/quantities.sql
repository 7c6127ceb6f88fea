-- whether a quantity is split, and how often it is charged: no rows
select
  null::varchar as frequency,
  null::boolean as is_split
where false
