#!/usr/bin/env bash
# Annotations and step summary from `costcalc check`, its JSON, the comment and a page in files; check.py does it.
#
# In:  PYTHON, WORKING_DIRECTORY, CONFIG, BASE, BASE_REF, ARGS (each may be empty); GITHUB_OUTPUT, RUNNER_TEMP.
# Out: exit-code, record-file, comment-file and report-file (empty if there is none) in GITHUB_OUTPUT. Ends with 0, so that the record can still be left.
set -euo pipefail

scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export WORKING_DIRECTORY="${WORKING_DIRECTORY:-$PWD}"
# Outside the checkout, and isolated: no file of it is imported.
cd "${RUNNER_TEMP:-/tmp}"
exec "${PYTHON:-python}" -I "$scripts/check.py"
