"""Measured times → the few numbers of a machine that estimates are made of: read, fitted, tried on what is held out."""
