"""Where in one block of memory tensors with known lifetimes lie, and what is proved of it."""
