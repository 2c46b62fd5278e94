"""PyTorch modules → graphs, by running them without values. ``trace`` in ``tracer`` does it."""
