-- every row of the two metered reports, and whether it is counted. A unit has one owner: AI credits are those of the report of AI
-- credits, requests those of the report of premium requests. Since June 2026 both may state the same AI credits. Of a day on which the
-- owner states nothing of its unit (it is switched off, refused, not there yet, or empty), the other report owns that, too
-- reads: github_copilot.ai_credits, github_copilot.premium_requests
-- columns: github_copilot.ai_credits, github_copilot.premium_requests
-- column source_table: Report that states the row
-- column own_unit: Unit that this report owns: ai-credits or requests
-- column is_counted: Whether the row counts: of a unit that both reports state, the owner does
create or replace view github_copilot.metered as
select
  *,
  unit = own_unit or not bool_or(unit = own_unit) over (partition by connection, usage_date, unit) as is_counted
from (
  select *, 'github_copilot.ai_credits' as source_table, 'ai-credits' as own_unit
  from github_copilot.ai_credits
  union all by name
  select *, 'github_copilot.premium_requests' as source_table, 'requests' as own_unit
  from github_copilot.premium_requests
);

comment on view github_copilot.metered is
  'One row per row of github_copilot.ai_credits and github_copilot.premium_requests: add only rows that are counted (is_counted)'
