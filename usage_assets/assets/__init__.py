"""The asset graph: raw assets, entities, costs, the push to Port, and their checks."""
