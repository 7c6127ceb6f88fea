-- PostgreSQL runs this once, when its volume is empty. Its own database is Dagster's, this one is the catalog of the lake.
create database usage;
