"""Bills in files, on the command line."""
