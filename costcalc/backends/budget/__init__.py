"""Verdicts: for terminals, pull requests, annotations of servers, and programs."""
