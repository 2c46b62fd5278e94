"""A record → text or a file, a folder for each kind of record; what they share lies beside them."""
