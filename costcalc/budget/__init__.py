"""Budgets: what a team agreed that its models may cost, what they cost before, and the verdict."""
