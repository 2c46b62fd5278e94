"""What an engine holds while it runs a graph: which buffers, from which step to which, and where in one arena.

An engine is a set of rules, each in a file of its own with its source: which layers it joins, what it writes in
place, what it sets aside. The rules turn a graph into ``Job``s; ``lifetimes`` makes tensors of these.
"""
