"""Files of strangers → bytes, and bytes → a tree that knows its places. Nothing is run, followed or interpreted."""
