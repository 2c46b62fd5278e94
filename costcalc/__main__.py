"""``python -m costcalc`` is the command ``costcalc``."""

from costcalc.cli import main

main()
