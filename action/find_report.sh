#!/usr/bin/env bash
# For the comment: where GitHub keeps the page that the check has left, from what GitHub says of that run.
# The page is of the run's own making, as its code is: nothing here opens it, and no name in it is asked.
#
# In:  RUN, the number of the run; GITHUB_REPOSITORY, GITHUB_SERVER_URL, GH_TOKEN, GITHUB_OUTPUT.
# Out: address in GITHUB_OUTPUT, empty if there is no page.
set -euo pipefail

case "$RUN" in
  '' | *[!0-9]*) echo "costcalc: '$RUN' is no number of a run" >&2; exit 1 ;;
esac
id="$(gh api --method GET "repos/$GITHUB_REPOSITORY/actions/runs/$RUN/artifacts" -f name=costcalc-report \
  --jq '.artifacts[] | select(.name == "costcalc-report" and (.expired | not)) | .id' | head -n 1)" || id=""
case "$id" in
  '' | *[!0-9]*) echo "address=" >> "$GITHUB_OUTPUT" ;;
  *) echo "address=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$RUN/artifacts/$id" >> "$GITHUB_OUTPUT" ;;
esac
