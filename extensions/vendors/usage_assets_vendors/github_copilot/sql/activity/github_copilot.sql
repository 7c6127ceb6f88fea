-- what was made with Copilot; a counter that a report lacks is unknown
-- reads: github_copilot.organization_1_day
from (
  select
    connection,
    usage_date,
    source,
    case when count(is_there) = count(prs_merged_by_copilot) then coalesce(sum(prs_merged_by_copilot), 0) end
      as merged_pull_requests,
    case when count(is_there) = count(loc_added_sum) then coalesce(sum(loc_added_sum), 0) end as accepted_lines
  from (from complete where source = 'github_copilot.organization_1_day')
  left join (select *, true as is_there from github_copilot.organization_1_day) using (connection, usage_date)
  group by connection, usage_date, source
)
unpivot include nulls (quantity for metric in (merged_pull_requests, accepted_lines))
