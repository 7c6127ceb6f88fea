-- reads: anthropic_analytics.organization
select connection, 'id' as known_by, id as organization
from anthropic_analytics.organization
where valid_to is null
