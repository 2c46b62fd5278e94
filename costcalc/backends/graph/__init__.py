"""A graph, for notebooks: its layers with the shapes that they read and make."""
