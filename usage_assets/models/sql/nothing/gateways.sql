-- what gateways estimate: no rows
select
  null::varchar as connection,
  null::date as usage_date,
  null::varchar as named_provider,
  null::varchar as provider,
  null::varchar as model,
  null::decimal(38, 24) as amount_usd
where false
