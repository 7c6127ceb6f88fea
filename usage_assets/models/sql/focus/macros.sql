-- a decimal as text without its last zeros, but for one after the point, because FOCUS's own validator takes a column of
-- whole numbers for integers; a time as FOCUS writes it; text that a spreadsheet takes for text
create or replace temp macro digits(amount) as
  rtrim(amount::varchar, '0') || if(amount = trunc(amount), '0', '');

create or replace temp macro moment(instant) as
  strftime(instant at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ');

-- a value of any of the types above as a CSV file has it
create or replace temp macro written(value) as
  case
    when typeof(value) = 'VARCHAR' then no_formula(value::varchar)
    when typeof(value) like 'DECIMAL%' then digits(value::varchar::decimal(38, 24))
    else moment(value::varchar::timestamptz)
  end;
