"""The warehouse is moved to another place, or rewritten in place in the format of new files."""
