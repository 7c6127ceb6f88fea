-- reads: nimbus.people
select 'user_id' as kind, connection, id, name, email, valid_from from nimbus.people
