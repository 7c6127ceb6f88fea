"""The asset graph: raw assets, costs, entities, lookups, and their checks."""
