"""Graph → Graph. Each file is a verb."""
