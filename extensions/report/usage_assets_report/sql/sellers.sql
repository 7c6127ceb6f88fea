-- who a connection's bills in files name as the provider; with the connection where several name one. command is for explain
select
  connection,
  id as provider,
  if(count(*) over (partition by name) > 1, name || ' (' || connection || ')', name) as seller,
  ['--connection', connection] as command
from costs.names
where kind = 'provider' and name is not null
