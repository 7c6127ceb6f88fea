-- what was made with Copilot on each day that has a report; a counter that it lacks is unknown
-- reads: github_copilot.organization_1_day, ledger.stored_days
select
  connection,
  usage_date,
  'github_copilot' as provider,
  'github_copilot.organization_1_day' as source,
  metric,
  quantity
from (
  select
    connection,
    usage_date,
    case when count(organization) = count(prs_merged_by_copilot) then coalesce(sum(prs_merged_by_copilot), 0) end
      as merged_pull_requests,
    case when count(organization) = count(loc_added_sum) then coalesce(sum(loc_added_sum), 0) end as accepted_lines
  from (from ledger.stored_days where table_name = 'github_copilot.organization_1_day') as days
  left join github_copilot.organization_1_day using (connection, usage_date)
  group by connection, usage_date
)
unpivot include nulls (quantity for metric in (merged_pull_requests, accepted_lines))
