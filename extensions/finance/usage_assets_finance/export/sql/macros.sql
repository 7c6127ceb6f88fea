-- digits: a decimal as text, without trailing zeros. One digit stays after the point: FOCUS's own validator takes a column
-- of whole numbers for integers.
-- digits_or: the same, where the text of an equal number is there already.
-- moment: a time as FOCUS writes it.
-- as_double: an average is a cast that takes less than the microsecond of a cast.
-- is_price: whether a price times the quantity is the cost. A price has 24 places, a double 15 digits.
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
