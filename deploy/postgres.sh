#!/bin/sh
# PostgreSQL runs this once, when its volume is empty. Dagster and the catalog of the lake have a database and a role
# each. Neither role may use the other database.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --set dagster="$DAGSTER_PASSWORD" --set usage="$LAKE_PASSWORD" \
  --username "$POSTGRES_USER" --dbname postgres <<'END'
create role dagster login password :'dagster';
create role usage login password :'usage';
create database dagster owner dagster;
create database usage owner usage;
revoke connect on database dagster, usage, postgres from public;
END
