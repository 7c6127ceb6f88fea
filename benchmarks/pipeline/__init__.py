"""A project as Dagster's tutorial teaches it, in an environment of its own. Nothing of the product belongs here."""
