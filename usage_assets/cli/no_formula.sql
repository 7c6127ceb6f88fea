-- text that a spreadsheet takes for text: what begins with one of = + - @, tab or carriage return would be a formula there
-- (OWASP, CSV injection)
create or replace temp macro no_formula(words) as
  regexp_replace(words, '^[=+\-@\t\r]', '''\0')
