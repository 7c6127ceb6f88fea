-- exact parts by the largest remainder. A share is what its units are of all units, rounded down to the last of 24
-- places. What is left of the amount then, less than one last place for each share, goes, one last place each, to those
-- that lost most by rounding, of equal ones to those that tie sorts first. A refund is split as what it gives back.
-- An amount has less than 10^38 last places, and units are below 2^63: no product outgrows a HUGEINT
create or replace temp macro last_places(amount) as
  replace(amount::varchar, '.', '')::hugeint;

create or replace temp macro of_last_places(places) as
  (places::decimal(38, 0) * 0.000000000000000000000001)::decimal(38, 24);

-- a division of HUGEINTs costs a microsecond, so there are two of them and no remainder
create or replace temp macro rounded_down(places, units, all_units) as
  places // all_units * units + (places - places // all_units * all_units) * units // all_units;

create or replace temp macro lost_by_rounding(places, units, all_units) as
  (places - places // all_units * all_units) * units
  - (places - places // all_units * all_units) * units // all_units * all_units;

create or replace temp macro share_of(amount, units, all_units) as {
  'sign': sign(amount),
  'places': abs(last_places(amount)),
  'rounded': rounded_down(abs(last_places(amount)), units, all_units),
  'lost': lost_by_rounding(abs(last_places(amount)), units, all_units)
};

-- the windows see one day of a connection each, so that the bounds of a slice reach the tables
create or replace temp macro part_of(share, connection, usage_date, whole, tie) as
  of_last_places(
    share.sign * (
      share.rounded
      + if(
        row_number() over (partition by connection, usage_date, whole order by share.lost desc, tie)
          <= share.places - sum(share.rounded) over (partition by connection, usage_date, whole),
        1,
        0
      )
    )
  );
