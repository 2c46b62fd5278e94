#!/usr/bin/env bash
# Installs costcalc apart from everything else, so that no file of the checkout can be imported in its place.
#
# In:  PACKAGE (for pip), RUNNER_TEMP, ARGS (may be empty). Run outside the checkout.
# Out: python in GITHUB_OUTPUT.
set -euo pipefail

cd "$RUNNER_TEMP"
options=()
# Models that are code need what the workflow has installed for them; the workflow's author asked for that.
case " ${ARGS:-} " in *" --allow-code "*) options+=(--system-site-packages) ;; esac
python -I -m venv ${options[@]+"${options[@]}"} costcalc-python
python="$RUNNER_TEMP/costcalc-python/bin/python"
[ -x "$python" ] || python="$RUNNER_TEMP/costcalc-python/Scripts/python.exe"
"$python" -I -m pip install --quiet "$PACKAGE"
echo "python=$python" >> "$GITHUB_OUTPUT"
