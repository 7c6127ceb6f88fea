-- an amount (24 places) times a rate of at most 14 digits, exact but for what is longer than 24 places: that is rounded half
-- away from zero, once. Whole units and the rest are multiplied on their own, because a decimal has 38 digits at most
create or replace temp macro product(amount, rate) as
  (trunc(amount)::decimal(24, 0) * rate)::decimal(38, 24)
  + ((amount - trunc(amount))::decimal(24, 24) * rate)::decimal(38, 24);

-- what the smallest unit of a currency is worth, of which so many digits make one unit
create or replace temp macro minor_rate(usd, minor_digits) as
  case minor_digits
    when 0 then usd::decimal(14, 13)
    when 2 then (usd::decimal(11, 10) * 0.01)::decimal(14, 13)
    when 3 then (usd::decimal(11, 10) * 0.001)::decimal(14, 13)
  end;
