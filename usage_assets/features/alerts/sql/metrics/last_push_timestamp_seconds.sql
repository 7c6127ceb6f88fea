-- When a push to Port that had something to send last began
select connection, epoch(max(began_at)) as value
from ledger.port_pushes
group by all
order by all
