"""Options of the whole test run."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A busy machine is slow now and then; that is no failure. `.ci/run` takes Hypothesis' own profile "ci", whose examples
# are the same each time; new ones are looked for wherever else the tests run.
settings.register_profile("costcalc", deadline=None)
settings.load_profile("costcalc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-transcripts",
        action="store_true",
        help="write what the commands print now into tests/transcripts and the pages that show them",
    )
