-- seats as GitHub lists them; a seat of a team or an organization names no person
-- reads: github_copilot.seats
select
  connection,
  'github_copilot' as provider,
  id,
  lower(plan_type) as plan,
  (created_at at time zone 'UTC')::date as assigned_on,
  true as states_activity,
  (last_activity_at at time zone 'UTC')::date as last_activity_on,
  try_cast(pending_cancellation_date as date) as ends_on,
  valid_from,
  valid_to
from github_copilot.seats
