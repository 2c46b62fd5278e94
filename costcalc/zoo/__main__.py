"""Writes the files that are generated among the shipped specs anew."""

from costcalc.zoo import directory, index
from costcalc.zoo.build import generated

if __name__ == "__main__":
    for name, content in generated():
        (directory() / name).write_text(content, encoding="utf-8")
        index.cache_clear()
