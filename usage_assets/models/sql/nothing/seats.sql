-- seats that name who has them: no rows
select
  null::varchar as connection,
  null::varchar as provider,
  null::varchar as id,
  null::boolean as states_activity,
  null::timestamptz as valid_from,
  null::timestamptz as valid_to,
  null::varchar as plan,
  null::date as assigned_on,
  null::date as last_activity_on,
  null::date as ends_on
where false
