"""Reports as one page for a browser: a document without scripts, a tool with them; nothing is fetched.

The house's own writer is enough: what a page repeats are rows, which are made like those of the other back ends, and a
library of templates would take longer to import than the page takes to write. The pictures are drawn by the scripts in
``assets``, from data that stands in the page once.
"""
