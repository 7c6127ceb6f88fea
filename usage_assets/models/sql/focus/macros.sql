-- a decimal as text without its last zeros, but for one after the point, because FOCUS's own validator takes a column of
-- whole numbers for integers; a time as FOCUS writes it
create or replace temp macro digits(amount) as
  rtrim(amount::varchar, '0') || if(suffix(rtrim(amount::varchar, '0'), '.'), '0', '');

create or replace temp macro moment(instant) as
  strftime(instant at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ');
