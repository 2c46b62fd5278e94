"""A figure as people read it, and as they write it: digits, units, signs."""
