"""Options of the whole test run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from costcalc.ir.memo import forget

# A busy machine is slow now and then; that is not a failure. `.ci/run` has Hypothesis' own profile "ci", whose examples
# are the same each time; new ones are looked for wherever else the tests run.
settings.register_profile("costcalc", deadline=None)
settings.load_profile("costcalc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-transcripts",
        action="store_true",
        help="write what the commands print now into tests/transcripts and the pages that show them",
    )


@pytest.fixture(autouse=True)
def _rules_put_in_place_of_others(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test works out by rules that it falsifies is not for the next one, nor what is known already for it."""
    patches = "monkeypatch" in request.fixturenames
    if patches:
        forget()
    yield
    if patches:
        forget()


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command line prints, or says where it prints nothing; it has to end with ``code``."""
    from costcalc.cli.dispatch import outcome

    def of(*line: str, code: int = 0) -> str:
        capsys.readouterr()
        ended = outcome(list(line))
        out, err = capsys.readouterr()
        assert ended == code, err
        return out or err

    return of
