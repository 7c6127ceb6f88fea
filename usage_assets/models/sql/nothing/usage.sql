-- whether use is billed: no rows
select
  null::boolean as is_billed
where false
