"""What stands on the core and may be left out, a folder each (``core/features.py`` finds them)."""
