"""What users configure: environment, connections file, rates and owners."""
