-- quantities and times of charges can be read: what cannot be is kept in other_columns, and the charge counts
-- says: {charges} charges have a {name} that cannot be read
-- do: Ask whoever writes the files
select
  connection,
  usage_date,
  count(*) as charges,
  replace(name, 'x_Unread', '') as name
from (
  select connection, usage_date, unnest(json_keys(other_columns)) as name
  from focus.charges
  where other_columns like '%x_Unread%'
)
where name like 'x\_Unread%' escape '\'
group by connection, usage_date, name
