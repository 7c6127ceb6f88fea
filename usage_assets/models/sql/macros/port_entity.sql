-- what an entity is called in Port: the published identifier, and the connection before it unless it is a default one;
-- characters that Port refuses become _, and a name that had to change gets the start of its hash, so that none collide
create or replace temp macro entity_name(connection, published) as
  case
    when connection in ({published}) then published
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

-- what the cost entities are called: parts between slashes, nothing for a null; a slash inside a part is written as in
-- a URL, so that no two lists of parts have one name
create or replace temp macro path_identifier(parts) as
  valid_name(
    array_to_string(
      list_transform(parts, lambda part: coalesce(replace(replace(part, '%', '%25'), '/', '%2F'), '')),
      '/'
    )
  );

-- the sum of amounts in dollars, zero of none; null where one has no dollar value: a part must not look like all of it
create or replace temp macro dollars(amounts) as
  case
    when amounts is null then 0
    when len(list_filter(amounts, lambda amount: amount is null)) = 0 then list_sum(amounts)
  end;
