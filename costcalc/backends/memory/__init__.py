"""What an engine holds, and whether a model fits."""
