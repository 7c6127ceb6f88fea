-- what an entity is called in Port: the published identifier, and the connection before it unless it is a default one;
-- characters that Port refuses become _, and a name that had to change gets the start of its hash, so that none collide
create or replace temp macro entity_name(connection, published) as
  case
    when connection in ('openai', 'anthropic', 'chatgpt') then published
    else connection || ':' || published
  end;

create or replace temp macro valid_name(name) as
  case
    when regexp_full_match(name, '[\p{L}0-9@_.+:\\/=-]+') and length(name) <= 1000 and name not in ('.', '..')
      then name
    else left(regexp_replace(name, '[^\p{L}0-9@_.+:\\/=-]', '_', 'g'), 991) || '-' || left(sha256(name), 8)
  end;

create or replace temp macro port_identifier(connection, published) as
  valid_name(entity_name(connection, published));
