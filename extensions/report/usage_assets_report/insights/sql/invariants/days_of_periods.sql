-- what is stored per budget, period and day
select source, budget, kind, id, first_day, usage_date, sum(stored.amount) as amount_of_day
from budget_status
join stored
  on stored.unit = budget_status.unit
  and usage_date between first_day and last_day
  and (
    kind = 'all'
    or id = case kind
      when 'connection' then connection
      when 'team' then team
      when 'project' then project
      when 'workspace' then workspace
      when 'user' then "user"
      when 'model' then model
      when 'api_key' then api_key
    end
  )
group by all
