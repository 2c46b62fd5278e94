#!/usr/bin/env bash
# Write the comment, or update the one of an earlier run, which begins with the marker.
#
# In: COMMENT_FILE, NUMBER (of the pull request), GITHUB_REPOSITORY, GH_TOKEN; AUTHOR if the token is no workflow's.
set -euo pipefail

marker='<!-- costcalc check -->'
export AUTHOR="${AUTHOR:-github-actions[bot]}"

case "$NUMBER" in
  '' | *[!0-9]*) echo "costcalc: '$NUMBER' is no number of a pull request" >&2; exit 1 ;;
esac
if [ "$(head -n 1 "$COMMENT_FILE")" != "$marker" ] || [ "$(wc -m < "$COMMENT_FILE")" -gt 65000 ]; then
  echo "costcalc: $COMMENT_FILE is no comment of costcalc" >&2
  exit 1
fi

# Only a comment of our own is updated: anybody may write the marker.
id="$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments" \
  --jq '.[] | select(.user.login == env.AUTHOR and (.body | startswith("<!-- costcalc check -->"))) | .id' | head -n 1)"
if [ -n "$id" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F "body=@$COMMENT_FILE"
else
  gh api --silent --method POST "repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments" -F "body=@$COMMENT_FILE"
fi
