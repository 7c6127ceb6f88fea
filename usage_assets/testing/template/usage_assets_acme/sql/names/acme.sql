-- reads: acme.projects
select 'project_id' as kind, connection, id, name, valid_from from acme.projects
