-- what the entities of budgets and anomalies are called in Port. The macros of port_entity.sql must be there
create or replace temp macro ai_budget_identifier(source, id, budget, first_day) as
  if(
    source = 'purchase',
    path_identifier([source, id, budget, first_day::varchar]),
    path_identifier([source, budget, first_day::varchar])
  );

create or replace temp macro ai_anomaly_identifier(incident, kind, id, measure, what, first_day) as
  coalesce(
    incident,
    path_identifier(list_filter([kind, id, measure, what, first_day::varchar], lambda part: part <> ''))
  );
