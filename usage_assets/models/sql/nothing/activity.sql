-- use that is partly in no figure: no rows
select
  null::decimal(38, 24) as left_out_usd,
  null::varchar as left_out_reason
where false
