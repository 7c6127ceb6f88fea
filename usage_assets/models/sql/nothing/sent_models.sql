-- models that gateways send: no rows
select
  null::varchar as provider,
  null::varchar as model
where false
