"""Recorded calls with the shapes that met there → steps, checks, names, nodes: for live modules, exported programs and
files alike. Nothing here needs torch.
"""
