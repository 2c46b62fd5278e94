"""costcalc: what a neural network costs, layer by layer and exactly."""

__version__ = "0.1.0"
