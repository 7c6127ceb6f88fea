"""What tokens of the past would have cost on another model, tier or cache rate."""
