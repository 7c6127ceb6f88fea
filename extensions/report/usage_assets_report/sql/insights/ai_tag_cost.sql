-- one row per month, connection whose bill is split, and tag; and one for each reason for which no tag is known. They add up to
-- the bills of models that [[tag_allocation]] names
-- reads: costs.by_tag
select
  path_identifier([if(tag is null, 'without', 'tag'), connection, tag_family, coalesce(tag, tag_allocation), month::varchar])
    as identifier,
  concat_ws(' - ', any_value(company), coalesce(tag, tag_family || ' ' || tag_allocation), strftime(month, '%Y-%m')) as title,
  last_day(month) as usage_date,
  connection as ai_connection,
  any_value(provider) as provider,
  tag,
  tag_family,
  tag_allocation as found_by,
  month || 'T00:00:00Z' as first_day,
  dollars(list(amount_usd) filter (where native_amount <> 0)) as billed_usd,
  $report_url as report
from (
  select *, date_trunc('month', usage_date)::date as month
  from costs.by_tag
  where cost_basis = 'billed' and tag_allocation is not null and usage_date >= date_trunc('month', $since::date)::date
)
join accounting.providers using (provider)
where last_day(month) > $since
group by connection, tag_family, tag, tag_allocation, month
order by identifier
