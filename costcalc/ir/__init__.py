"""The vocabulary: dimensions, tensor types, windows, ops, graphs. Imports nothing from the rest."""
