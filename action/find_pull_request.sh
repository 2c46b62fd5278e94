#!/usr/bin/env bash
# For the second workflow: which open pull request a finished run belongs to, from what GitHub says of that run.
# What the run itself left behind may come from a stranger and is not asked.
#
# In:  NUMBER if the event is of a pull request itself, else HEAD_OWNER, HEAD_BRANCH, HEAD_SHA of the run; GITHUB_REPOSITORY, GH_TOKEN, GITHUB_OUTPUT.
# Out: number in GITHUB_OUTPUT, empty if there is none.
set -euo pipefail

if [ -n "${NUMBER:-}" ]; then
  echo "number=$NUMBER" >> "$GITHUB_OUTPUT"
  exit 0
fi
export HEAD_SHA
number="$(gh api --method GET "repos/$GITHUB_REPOSITORY/pulls" -f state=open -f "head=$HEAD_OWNER:$HEAD_BRANCH" \
  --jq '.[] | select(.head.sha == env.HEAD_SHA) | .number' | head -n 1)"
echo "number=$number" >> "$GITHUB_OUTPUT"
