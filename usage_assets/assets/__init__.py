"""The graph: raw assets, entities, costs, the push to Port, and the checks that hold them together."""
