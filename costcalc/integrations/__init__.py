"""costcalc inside other programs."""
