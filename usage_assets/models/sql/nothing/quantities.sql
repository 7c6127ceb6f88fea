-- whether a quantity is split, of what category it is, and how often it is charged: no rows
select
  null::varchar as category,
  null::varchar as frequency,
  null::boolean as is_split
where false
