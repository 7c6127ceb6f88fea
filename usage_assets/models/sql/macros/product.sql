-- an amount (24 places) times a rate of at most 14 digits, exact but for what is longer than 24 places: that is rounded half
-- away from zero, once. Whole units and the rest are multiplied on their own, because a decimal has 38 digits at most
create or replace temp macro product(amount, rate) as
  (trunc(amount)::decimal(24, 0) * rate)::decimal(38, 24)
  + ((amount - trunc(amount))::decimal(24, 24) * rate)::decimal(38, 24);

-- what the smallest unit of a currency is worth in dollars; of thousandths at least, for product's sake
create or replace temp macro minor_rate(usd, minor_unit) as
  if(
    coalesce(minor_unit, 0.01) >= 0.001,
    (usd::decimal(11, 10) * coalesce(minor_unit, 0.01)::decimal(4, 3))::decimal(14, 13),
    null
  );

-- an amount in the smallest unit of a currency in whole units of it: cents in dollars, fils in dinars, yen in yen. A code
-- that ISO 4217 does not list, or without a smallest unit, counts as having cents
create or replace temp macro major_units(amount, minor_unit) as
  product(amount, coalesce(minor_unit, 0.01)::decimal(5, 4));

-- what an amount in a native unit is worth in dollars, at the rates that are stated; null without one. Only for valued.sql
create or replace temp macro in_dollars(amount, native_unit, usd_per_credit, usd, minor_unit) as
  case native_unit
    when 'dollars' then amount
    when 'cents' then major_units(amount, minor_unit)
    when 'credits' then product(amount, usd_per_credit::decimal(14, 10))
    when 'major units' then product(amount, usd::decimal(11, 10))
    when 'minor units' then product(amount, minor_rate(usd, minor_unit))
  end;
