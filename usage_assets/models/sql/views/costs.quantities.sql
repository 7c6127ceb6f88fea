-- what sources state of their charges, summed as the costs are: quantity, list amount, category. A quantity that is_split is that
-- of a bill which the allocation splits by what is no quantity of it
create or replace view costs.quantities as
select *
from (
{quantities}
);

comment on view costs.quantities is
  'What sources state of their charges besides the amount: quantity, unit, list amount, category. Rows are those of costs.daily_costs';
