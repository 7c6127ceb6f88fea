-- what the tags of gateways used: no rows
select
  null::varchar as connection,
  null::varchar as provider,
  null::date as usage_date,
  null::varchar as named_provider,
  null::varchar as gateway_model,
  null::varchar as use,
  null::varchar as tag,
  null::decimal(38, 24) as amount_usd,
  null::bigint as requests
where false
