-- what one scope used per day in one measure; dollars are in spent.sql
-- reads: costs.usage, accounting.owners
with used as (
  select
    *,
    coalesce(
      (
        select any_value(team)
        from accounting.owners
        where kind = 'api_key' and id = api_key_id and coalesce(owners.connection, used.connection) = used.connection
          and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
      ),
      (
        select any_value(team)
        from accounting.owners
        where kind = 'user' and id = user_id and coalesce(owners.connection, used.connection) = used.connection
          and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
      ),
      (
        select any_value(team)
        from accounting.owners
        where kind = 'project' and id = project_id and coalesce(owners.connection, used.connection) = used.connection
          and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
      ),
      (
        select any_value(team)
        from accounting.owners
        where kind = 'workspace' and id = workspace_id and coalesce(owners.connection, used.connection) = used.connection
          and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
      ),
      'unowned'
    ) as team
  from costs.usage as used
  where usage_date between $first and $last
),
measured as (
  select
    usage_date,
    connection,
    team,
    project_id,
    workspace_id,
    user_id,
    model,
    api_key_id as api_key,
    case $measure
      when 'requests' then requests
      when 'tokens' then coalesce(input_tokens + output_tokens, input_tokens, output_tokens)
      when 'images' then images
      when 'characters' then characters
      when 'seconds' then seconds
      when 'usage_bytes' then usage_bytes
      when 'sessions' then sessions
    end::decimal(38, 0) as value
  from used
)
select usage_date, sum(value)::decimal(38, 0) as value
from measured
where value is not null
  and (
    $kind = 'all'
    or $id = case $kind
      when 'connection' then connection
      when 'team' then team
      when 'project' then project_id
      when 'workspace' then workspace_id
      when 'user' then user_id
      when 'model' then model
      when 'api_key' then api_key
    end
  )
group by all
order by all
