"""What changed between two models, and why."""
