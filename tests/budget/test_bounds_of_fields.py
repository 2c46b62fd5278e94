"""A receptive field that is only an upper bound keeps its sign in locks, histories and diffs, and proves no change."""

from __future__ import annotations

import json

from throwaway import Repository

from costcalc.budget.lock import Lock, lock_text, parse_lock

SPEC = """
inputs: {x: [3, 32, 32]}
layers:
- mirrored: pad(1, 'reflect')
- a: conv(4, 3, padding=1)
- half: triangle
"""
CONFIG = """
version: 1
models:
  - {name: m, model: net.yaml, budgets: {receptive_field: {max_increase: 10, max_decrease: 10}}}
"""


def test_a_lock_and_a_history_keep_the_sign(empty: Repository) -> None:
    empty.write("net.yaml", SPEC)
    empty.write("costcalc.yaml", CONFIG)
    assert empty.run("lock")[0] == 0
    text = empty.read("costcalc.lock")
    assert '"marks": {"receptive_field": "≤"}' in text
    assert (
        parse_lock(lock_text(parse_lock(text.encode(), "")).encode(), "").entries
        == parse_lock(text.encode(), "").entries
    )
    empty.commit("rolled")
    code, printed = empty.run("history", "net.yaml", "--figure", "receptive_field", "--format", "json")
    assert code == 0 and json.loads(printed)["commits"][0]["marks"] == {"receptive_field": "≤"}

    # Wider: from a bound to a bound, which the lock tells as it tells the rest.
    empty.edit("net.yaml", "conv(4, 3, padding=1)", "conv(4, 3, padding=2, dilation=2)")
    code, printed = empty.run("lock")
    assert code == 1 and "receptive_field ≤ 3 → ≤ 5" in printed
    code, printed = empty.run("check", "--format", "json")
    said = {v["rule"]: (v["status"], v["says"]) for v in json.loads(printed)["verdicts"]}
    unproved = "≈ +2 (+66.7 %) from 3 to 5, 10 allowed: what is seen now and what was seen before are upper bounds"
    assert code == 0 and said == {
        "max_increase": ("unchecked", unproved),
        "max_decrease": ("unchecked", said["max_decrease"][1]),
    }
    code, printed = empty.run("diff", "--base", "HEAD")
    assert code == 0 and "≤ 3" in printed and "≤ 5" in printed
    code, printed = empty.run("diff", "--base", "HEAD", "--format", "json")
    assert json.loads(printed)[0]["marks"] == {"receptive_field": {"old": "≤", "new": "≤"}}


def test_a_lock_of_before_is_read(empty: Repository) -> None:
    empty.write("net.yaml", SPEC)
    empty.write("costcalc.yaml", CONFIG)
    empty.run("lock")
    old = parse_lock(empty.read("costcalc.lock").encode(), "")
    empty.write("costcalc.lock", lock_text(Lock({key: e._replace(marks={}) for key, e in old.entries.items()})))
    assert empty.run("check", "--locked")[0] == 0  # the same model: a sign is no change of it
    assert empty.run("lock")[0] == 0 and '"marks"' in empty.read("costcalc.lock")
