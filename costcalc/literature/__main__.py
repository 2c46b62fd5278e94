"""``python -m costcalc.literature`` prints the page ``docs/zoo.md``."""

from costcalc.literature.page import page

if __name__ == "__main__":
    print(page(), end="")
