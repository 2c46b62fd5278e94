"""A team's first day: init, lock, a change on a branch, the right cause, agreement, green again."""

from __future__ import annotations

import pytest
from throwaway import DEPTHS, LOOP, STEM, Repository

WIDER = ("stem: conv_bn(width, 7, stride=2)", "stem: conv_bn(width, 9, stride=2)")
DEEPER = ("depths: [2, 2, 2]", "depths: [2, 5, 2]")


def test_from_init_to_green_again(repository: Repository) -> None:
    r = repository
    code, printed = r.run("init")
    assert code == 0 and "wrote costcalc.yaml with budgets for backbone" in printed
    code, printed = r.run("check")
    assert code == 0 and printed.endswith("all 4 budgets met\n")
    code, printed = r.run("lock")
    assert code == 0 and "wrote costcalc.lock: 1 measurement" in printed
    r.commit("budgets")

    r.git("checkout", "--quiet", "-b", "deeper")
    r.edit("configs/backbone.yaml", *WIDER)
    r.edit("configs/backbone.yaml", *DEEPER)
    code, printed = r.run("check")
    assert code == 1
    # 3 blocks of 2 convolutions of 32 channels on 16×16 places; 16·3·(81−49) more taps on 32×32 places.
    # Above the old budget, which is 5 % and rounding above the old cost.
    depth, kernel = 3 * 2 * 32 * 32 * 9 * 16 * 16, 16 * 3 * (81 - 49) * 32 * 32
    assert (depth, kernel) == (14_155_776, 1_572_864)
    lines = [line.split() for line in printed.splitlines()]
    assert ["FAIL", "backbone:", "macs"] in lines
    told = next(line for line in printed.splitlines() if "depth:" in line)
    assert "+14.2 M" in told and told.endswith(f"configs/backbone.yaml:{LOOP}")
    told = next(line for line in printed.splitlines() if "kernel 7→9" in line)
    assert "+1.57 M" in told and told.endswith(f"configs/backbone.yaml:{STEM}")

    code, printed = r.run("check", "--locked")
    assert code == 1 and "the lock is stale: macs" in printed
    code, printed = r.run("lock")
    assert code == 1 and "nothing was written; --update agrees to it" in printed
    assert r.git("status", "--porcelain").split() == ["M", "configs/backbone.yaml"]

    r.commit("deeper")
    code, printed = r.run("diff", "main..HEAD", "configs/backbone.yaml")
    assert code == 0 and "+14.2 M" in printed and f"configs/backbone.yaml:{DEPTHS}" in printed
    code, printed = r.run("check", "--base", "main")
    # With git at hand the cause is placed at the line that was edited.
    assert code == 1 and f"configs/backbone.yaml:{DEPTHS}" in printed and f"configs/backbone.yaml:{STEM}" in printed

    r.run("lock", "--update")
    r.edit("costcalc.yaml", r.read("costcalc.yaml").split("macs: ")[1].split("\n")[0], "60 M")
    r.edit("costcalc.yaml", "params: " + r.read("costcalc.yaml").split("params: ")[1].split("\n")[0], "params: 1 M")
    r.edit(
        "costcalc.yaml", "storage: " + r.read("costcalc.yaml").split("storage: ")[1].split("\n")[0], "storage: 9 MiB"
    )
    code, printed = r.run("check", "--locked")
    assert code == 0 and printed.endswith("all 4 budgets met\n"), printed
    assert r.git("diff", "--stat", "main", "--", "costcalc.lock").count("costcalc.lock") == 1


def test_the_checkout_is_not_touched_by_a_diff(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "deeper")
    repository.edit("configs/backbone.yaml", *DEEPER)
    asked = (["status", "--porcelain"], ["stash", "list"], ["worktree", "list"])
    before = [repository.git(*args) for args in asked]
    code, printed = repository.run("diff", "--base", "main")
    assert code == 0 and "configs/backbone.yaml: MACs" in printed
    assert [repository.git(*args) for args in asked] == before


def test_a_new_spec_is_added_and_a_deleted_one_removed(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "other")
    repository.write("configs/second.yaml", repository.read("configs/backbone.yaml"))
    (repository.folder / "configs/backbone.yaml").unlink()
    repository.commit()
    code, printed = repository.run("diff", "main..HEAD")
    assert code == 0
    assert "configs/second.yaml: added, MACs" in printed and "configs/backbone.yaml: removed, MACs" in printed


def test_a_change_of_shared_blocks_is_seen_in_the_specs_that_use_them(repository: Repository) -> None:
    blocks = "blocks:\n  wide(out):\n    - conv: conv(out, 3, padding=1)\n"
    repository.write("configs/parts.yaml", blocks)
    model = "name: small\nuse: [parts.yaml]\ninputs: {image: [3, 8, 8]}\nlayers:\n  - a: wide(4)\n"
    repository.write("configs/small.yaml", model)
    repository.commit()
    repository.edit("configs/parts.yaml", "conv(out, 3, padding=1)", "conv(out, 5, padding=2)")
    code, printed = repository.run("diff", "--base", "HEAD")
    assert code == 0 and "configs/small.yaml: MACs 6.91 k → 19.2 k" in printed, printed


def test_specs_that_did_not_change_are_not_mentioned(repository: Repository) -> None:
    assert repository.run("diff", "--base", "main") == (0, "no model changed\n")
    repository.write("configs/notes.yaml", "just: some yaml\n")
    assert repository.run("diff", "--base", "main") == (0, "no model changed\n")


def test_odd_file_names_and_other_folders(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "configs/mit Leerzeichen ü.yaml"
    repository.write(name, repository.read("configs/backbone.yaml"))
    repository.commit()
    repository.edit(name, *DEEPER)
    monkeypatch.chdir(repository.folder / "configs")
    code, printed = repository.run("diff", "--base", "HEAD")
    assert code == 0 and f"{name}: MACs" in printed and f"{name}:{DEPTHS}" in printed
    code, again = repository.run("diff", "--base", "HEAD", "mit Leerzeichen ü.yaml")
    assert (code, again) == (0, printed)


def test_from_where_a_branch_left_not_from_what_came_after(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "deeper")
    repository.edit("configs/backbone.yaml", *DEEPER)
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.edit("configs/backbone.yaml", "linear(10)", "linear(1000)")
    repository.commit()
    repository.git("checkout", "--quiet", "deeper")
    for args in (["--base", "main"], ["main...HEAD"]):
        code, printed = repository.run("diff", *args)
        assert code == 0 and "depth" in printed and "out_features" not in printed
    code, printed = repository.run("diff", "main..HEAD")
    assert code == 0 and "out_features 1000→10" in printed


def test_a_shallow_clone_says_what_to_do(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("commit", "--quiet", "--allow-empty", "--message", "another")
    clone = tmp_path_factory.mktemp("clone")
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.folder}", str(clone))
    monkeypatch.chdir(clone)
    assert "this clone is shallow: fetch more of it" in repository.fails("diff", "--base", "HEAD~1")


def test_variants_that_did_not_change_are_not_shown(repository: Repository) -> None:
    variants = "variants:\n  small: {depths: [1, 1, 1]}\n  large: {depths: [2, 2, 2]}\nblocks:"
    repository.edit("configs/backbone.yaml", "blocks:", variants)
    repository.commit()
    repository.edit("configs/backbone.yaml", "large: {depths: [2, 2, 2]}", "large: {depths: [2, 3, 2]}")
    code, printed = repository.run("diff", "--base", "HEAD")
    assert code == 0 and "configs/backbone.yaml:large: MACs" in printed and ":small" not in printed
    repository.edit("configs/backbone.yaml", "  small: {depths: [1, 1, 1]}\n", "")
    code, printed = repository.run("diff", "--base", "HEAD")
    assert "configs/backbone.yaml:small: removed" in printed
