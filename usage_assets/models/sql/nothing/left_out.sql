-- what is billed and is no cost: no rows
select
  null::varchar as connection,
  null::date as usage_date,
  null::varchar as provider,
  null::varchar as product,
  null::varchar as currency,
  null::bigint as row_count,
  null::decimal(38, 24) as amount,
  null::decimal(38, 24) as effective_amount,
  null::varchar as reason,
  null::boolean as is_unknown
where false
