-- a decimal as text without its last zeros, but for one after the point, because FOCUS's own validator takes a column of
-- whole numbers for integers; the same of a number of which another one may have the text; a time as FOCUS writes it; whether a
-- price times the quantity is the cost. A price is rounded to 24 places, which is less than one of them for each unit; doubles
-- have 15 digits. To cast a decimal to a double takes a microsecond, which an average does not
create or replace temp macro digits(amount) as
  rtrim(amount::varchar, '0') || if(suffix(rtrim(amount::varchar, '0'), '.'), '0', '');

create or replace temp macro digits_or(amount, other, other_text) as if(amount = other, other_text, digits(amount));

create or replace temp macro moment(instant) as
  strftime(make_timestamp(epoch_us(instant)), '%Y-%m-%dT%H:%M:%SZ');

create or replace temp macro as_double(amount) as
  list_avg([amount]);

create or replace temp macro is_price(price, quantity, cost) as
  abs(as_double(price) * as_double(quantity) - as_double(cost))
    <= 1e-24 * abs(as_double(quantity)) + 1e-12 * greatest(abs(as_double(cost)), 1);
