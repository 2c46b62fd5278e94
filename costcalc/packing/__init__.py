"""Where in one block of memory each tensor lies: offsets for tensors with known lifetimes, and what is proved of them."""
