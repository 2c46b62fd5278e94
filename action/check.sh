#!/usr/bin/env bash
# Annotations and step summary from `costcalc check`, and the comment in a file.
#
# In:  CONFIG, BASE, BASE_REF, ARGS (each may be empty); GITHUB_OUTPUT, RUNNER_TEMP of the runner.
# Out: exit-code and comment-file in GITHUB_OUTPUT. Ends with 0, so that the comment can still be written.
set -euo pipefail

options=()
if [ -n "${CONFIG:-}" ]; then options+=(--config "$CONFIG"); fi

base="${BASE:-}"
if [ -z "$base" ] && [ -n "${BASE_REF:-}" ]; then
  # The branch that the pull request goes to. A shallow clone may lack it.
  base="origin/$BASE_REF"
  if ! git rev-parse --verify --quiet "$base^{commit}" > /dev/null; then
    git fetch --quiet --no-tags --depth=1 origin "+refs/heads/$BASE_REF:refs/remotes/origin/$BASE_REF"
  fi
fi
if [ -n "$base" ]; then options+=(--base "$base"); fi

# Options by the workflow's author, split at blanks on purpose; names from a pull request never come here.
read -r -a more <<< "${ARGS:-}"
options+=(${more[@]+"${more[@]}"})

code=0
costcalc check ${options[@]+"${options[@]}"} --format github || code=$?

comment="${RUNNER_TEMP:-/tmp}/costcalc-comment.md"
if [ "$code" -ne 2 ]; then
  costcalc check ${options[@]+"${options[@]}"} --format markdown --output "$comment" || true
else
  # The log has the sentence, with its place.
  printf '%s\n' '<!-- costcalc check -->' '### ❌ costcalc could not check the models' '' \
    'A config or a model cannot be read; the log of this run says which and where.' > "$comment"
fi

{
  echo "exit-code=$code"
  echo "comment-file=$comment"
} >> "$GITHUB_OUTPUT"
