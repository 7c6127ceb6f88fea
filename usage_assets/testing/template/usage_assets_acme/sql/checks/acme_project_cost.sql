-- dollars and requests of port_entities.acme_project_cost are those of acme.usage
-- sums: requests, cost
from acme.usage
