"""Graph → record. Each file works out one kind of figure; ``report`` puts them together."""
