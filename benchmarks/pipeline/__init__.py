"""What a data engineer writes with dlt, in an environment of its own. Nothing of the product belongs here."""
