-- what a seat costs: no rows
select
  null::varchar as connection,
  null::varchar as plan,
  null::date as usage_date,
  null::decimal(38, 24) as price,
  null::varchar as currency,
  null::varchar as source
where false
