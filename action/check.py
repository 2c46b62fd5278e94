"""What check.sh runs, with ``python -I`` and from outside the checkout."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from costcalc.backends.budget.comment import comment
from costcalc.cli.dispatch import outcome
from costcalc.cli.output import prepare_streams, say_error
from costcalc.difference.git import Repository
from costcalc.errors import CostcalcError
from costcalc.reading.reach import is_inside


def base() -> str:
    """The revision to compare with: the one given, or the branch that the pull request goes to, "" for neither."""
    given, branch = os.environ.get("BASE", ""), os.environ.get("BASE_REF", "")
    if given or not branch:
        return given
    repository = Repository()
    try:
        repository.commit(f"refs/remotes/origin/{branch}")
    except CostcalcError:  # a shallow clone may lack it
        repository.fetch(branch)
    return f"origin/{branch}"


def main() -> int:
    """Check, and leave the record, the comment and the page in the runner's folder for temporary files."""
    prepare_streams()
    place, checkout = os.environ["WORKING_DIRECTORY"], os.environ.get("GITHUB_WORKSPACE", "")
    # A pull request may have made a link of the folder that the workflow's author has named.
    if checkout and Path(os.path.normpath(place)).is_relative_to(checkout) and not is_inside(place, checkout):
        say_error("working-directory is a link that leads out of the checkout, and is not used")
        return 1
    os.chdir(place)
    options = ["--config", os.environ["CONFIG"]] if os.environ.get("CONFIG") else []
    try:
        revision = base()
    except CostcalcError as error:
        say_error(str(error))
        return 1
    options += ["--base", revision] if revision else []
    # Options by the workflow's author, split at blanks on purpose; names from a pull request never come here.
    options += os.environ.get("ARGS", "").split()
    code = outcome(["check", *options, "--format", "github"])
    sys.stdout.flush()

    folder = Path(os.environ.get("RUNNER_TEMP", "/tmp"))
    record, page = folder / "costcalc-check.json", folder / "costcalc-comment.md"
    report = folder / "costcalc-report.html"
    report.unlink(missing_ok=True)  # an earlier step's
    os.environ.pop("GITHUB_STEP_SUMMARY", None)
    files = ["--output", str(record), "--report", str(report)]
    if code == 2 or outcome(["check", *options, "--format", "json", *files]) == 2:
        record.write_text('{"schema": 1, "exit_code": 2}\n', encoding="utf-8")  # the log has the sentence
    page.write_text(comment(json.loads(record.read_text(encoding="utf-8"))), encoding="utf-8")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as stream:
        stream.write(f"exit-code={code}\nrecord-file={record}\ncomment-file={page}\n")
        stream.write(f"report-file={report if report.exists() else ''}\n")
    return 0


sys.exit(main())
