"""What pictures show, computed and not drawn: points of a roofline, the tree of a treemap, a timeline of memory, growth
of receptive fields, waterfalls. Pages, plots and the terminal draw the same numbers.
"""
