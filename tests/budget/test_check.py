"""Verdicts: met or not, by how much, since when, because of what, and with which exit code."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
from throwaway import NET, SPEC, Repository

from costcalc.budget.check import check
from costcalc.budget.lock import read_lock
from costcalc.budget.outcome import Outcome, Verdict
from costcalc.budget.read import config
from costcalc.budget.session import Asked, before, lock_file, read_models
from costcalc.reading.yaml import read

# SPEC by hand. The stem has 16·3·7² weights on 32² places. Each stage has three convolutions of as many MACs as one of
# 16·16·3² weights on 32² places, and one more in the first stage; in the others the one that halves the map has half
# as many, and the shortcut's 1×1 a ninth of that half.
SAME = 16 * 16 * 9 * 32 * 32
MACS = 16 * 3 * 49 * 32 * 32 + 4 * SAME + 2 * (3 * SAME + SAME // 2 + SAME // 18) + 64 * 10
PARAMS = (
    16 * 3 * 49 + 32
    + 4 * (16 * 16 * 9 + 32)
    + (16 * 32 * 9 + 16 * 32 + 3 * 32 * 32 * 9 + 5 * 64)
    + (32 * 64 * 9 + 32 * 64 + 3 * 64 * 64 * 9 + 5 * 128)
    + 64 * 10 + 10
)  # fmt: skip
HEAD_MACS = 64 * 10


def budgets(text: str, repository: Repository, *, extra: str = "") -> str:
    lines = "".join(f"      {line}\n" for line in text.strip().splitlines())
    repository.write(
        "costcalc.yaml",
        f"version: 1\nmodels:\n  - name: backbone\n    model: configs/backbone.yaml\n    budgets:\n{lines}{extra}",
    )
    return "costcalc.yaml"


def outcome(today: date = date(2026, 6, 1), **asked: object) -> Outcome:
    from contextlib import ExitStack

    wanted = Asked(**asked)  # type: ignore[arg-type]
    chosen = read_models(wanted)
    with ExitStack() as stack:
        known = before(wanted, chosen, stack, lambda: read_lock(lock_file(chosen)))
        baseline, edited = known.baseline, known.edited
        return check(chosen, baseline, today=today, edited=edited)


def only(found: Outcome) -> Verdict:
    (verdict,) = found.verdicts
    return verdict


def test_the_sizes_that_the_tests_count_on(repository: Repository) -> None:
    _, printed = repository.run("analyze", "configs/backbone.yaml", "--format", "json")
    total = json.loads(printed)["total"]
    assert (total["macs"], total["params"]) == (MACS, PARAMS) == (28_623_488, 177_178)


@pytest.mark.parametrize(
    ("budget", "status", "says"),
    [
        (f"macs: {MACS}", "ok", "28.6 M, at most 28.6 M allowed"),
        (f"macs: {MACS - 1}", "fail", "28,623,488 is 1 over the budget of 28,623,487 (+0.0 %)"),
        ("macs: 20 M", "fail", "28.6 M is 8.62 M over the budget of 20.0 M (+43.1 %)"),
        ("macs: {max: 20 M, level: warn}", "warn", "28.6 M is 8.62 M over the budget of 20.0 M (+43.1 %)"),
        ("macs: {min: 40 M}", "fail", "28.6 M is 11.4 M under the budget of 40.0 M (-28.4 %)"),
        # 7, then by 2 pixels each 4 times 2, by 2 and 3 times by 4, by 4 and 3 times by 8: 7+16+4+24+8+48.
        ("receptive_field: {min: 108, at: layer3}", "fail", "107 is 1 under the budget of 108 (-0.9 %)"),
        ("receptive_field: {min: 107, at: layer3}", "ok", "107, at least 107 allowed"),
        ("receptive_field: {min: 1000, at: head}", "ok", ""),
        (
            "receptive_field: {max: 1000, at: head}",
            "fail",
            "it is the whole image, at most 1000 wanted",
        ),
        ("uncounted: 0", "ok", "0, at most 0 allowed"),
        ("macs: {max_increase: 2%}", "unchecked", "its change is not checked: there is no costcalc.lock"),
    ],
)
def test_a_bound_is_met_or_not(repository: Repository, budget: str, status: str, says: str) -> None:
    budgets(budget, repository)
    verdict = only(outcome())
    assert verdict.status == status, verdict.description
    assert says in verdict.description


def test_a_pattern_means_the_sum_of_its_layers(repository: Repository) -> None:
    extra = f'    layers: {{"head*": {{macs: {HEAD_MACS}}}, "layer?.0.*": {{params: 1}}}}\n'
    budgets("uncounted: 0", repository, extra=extra)
    head, first = outcome().verdicts[1:]
    assert (head.status, head.value) == ("ok", HEAD_MACS)
    # conv1, conv2 and their norms of the three first blocks, and the two downsamples with theirs.
    expected = sum(9 * i * o + 9 * o * o + 4 * o for i, o in ((16, 16), (16, 32), (32, 64)))
    expected += sum(i * o + 2 * o for i, o in ((16, 32), (32, 64)))
    assert (first.status, first.value) == ("fail", expected)
    # Without an earlier model the largest layers are told, and where the file asks for them.
    assert first.because[0].description == "layer3.0.conv2.conv"
    assert first.location is not None and first.location.short == "configs/backbone.yaml:16"


def test_a_change_is_held_to_the_lock(repository: Repository) -> None:
    budgets("macs: {max_increase: 5%, max_decrease: 1 k}\nparams: {max_increase: 1.001x}", repository)
    assert repository.run("lock")[0] == 0
    assert [v.status for v in outcome().verdicts] == ["ok"] * 3
    repository.edit("configs/backbone.yaml", "(width, 7, stride=2)", "(width, 9, stride=2)")
    grown, shrunk, more = outcome().verdicts
    # 16·3·(81−49)·32·32 = 1,572,864 is 5.5 % of 28,623,488; 5 % are 1,431,174.4.
    assert grown.status == "fail" and grown.value == MACS + 1_572_864
    assert grown.limit == pytest.approx(MACS * 1.05, rel=1e-12)
    assert grown.description.startswith("+1.57 M (+5.5 %) from 28.6 M to 30.2 M since costcalc.lock, 5% allowed")
    assert shrunk.status == "ok"
    # 16·3·32 = 1536 parameters are 0.87 %.
    assert more.status == "fail" and [b.amount for b in more.because] == [1536]
    assert more.location is not None and more.location.short == "configs/backbone.yaml:21"


def test_an_exemption_holds_until_its_last_day_and_is_reported_after_it(repository: Repository) -> None:
    text = "exempt: [{model: backbone, metric: macs, until: 2026-06-01, reason: larger stem}]\n"
    budgets("macs: 20 M", repository, extra=text)
    found = outcome(today=date(2026, 6, 1))
    assert only(found).status == "exempt" and "until 2026-06-01: larger stem" in only(found).description
    assert found.exit_code() == 0 and found.notes == ()
    late = outcome(today=date(2026, 6, 2))
    assert only(late).status == "fail" and late.exit_code() == 1
    assert late.notes == ("costcalc.yaml:7:10: the exemption of backbone from macs ended on 2026-06-01",)


def test_exit_codes(repository: Repository) -> None:
    budgets("macs: {max: 20 M, level: warn}", repository)
    assert repository.run("check")[0] == 0
    assert repository.run("check", "--fail-on", "warn")[0] == 1
    budgets("macs: {max_increase: 2%}", repository)
    code, printed = repository.run("check")
    assert code == 0 and "1 not checked" in printed
    assert repository.run("check", "--strict")[0] == 4
    budgets("macs: 20 M", repository)
    assert repository.run("check", "--strict")[0] == 1


def test_a_model_without_a_config(repository: Repository) -> None:
    code, printed = repository.run("check", "configs/backbone.yaml", "--max", f"macs={MACS},params=177179")
    assert (code, printed.splitlines()[-1]) == (0, "all 2 budgets met")
    code, printed = repository.run("check", "lenet5", "configs/backbone.yaml", "--max", "macs=1M", "--input", "3x32x32")
    assert code == 1 and "configs/backbone.yaml at 3x32x32: macs" in printed


def test_one_model_of_a_config(repository: Repository) -> None:
    budgets("macs: 40 M", repository, extra="  - {name: other, model: configs/none.yaml, budgets: {macs: 1}}\n")
    assert repository.run("check", "backbone")[0] == 0
    assert "configs/none.yaml: there is no such file" in repository.fails("check")


def test_the_json_of_an_earlier_analysis_is_a_baseline(repository: Repository) -> None:
    budgets("macs: {max_increase: 0%}", repository)
    repository.run("analyze", "configs/backbone.yaml", "--format", "json", "--output", "before.json")
    assert repository.run("check", "--compare-to", "before.json")[0] == 0
    repository.edit("configs/backbone.yaml", "width: 16", "width: 32")
    code, printed = repository.run("check", "--compare-to", "before.json")
    assert code == 1 and "since before.json, 0% allowed" in printed


def test_a_new_model_has_nothing_to_be_compared_with(repository: Repository) -> None:
    budgets("macs: {max_increase: 2%}", repository)
    repository.commit()
    repository.write("configs/new.yaml", SPEC)
    repository.edit("costcalc.yaml", "configs/backbone.yaml", "configs/new.yaml")
    verdict = only(outcome(base="HEAD"))
    assert verdict.status == "unchecked" and "it is new since HEAD" in verdict.description


def test_ratchet_lowers_budgets_and_keeps_comments(repository: Repository) -> None:
    text = "macs: {max: 4.2 G}  # agreed in May\nparams: 0.1 M\nstorage: '1 GiB' # generous"
    budgets(text, repository)
    code, printed = repository.run("check", "--ratchet")
    assert code == 1  # params are over their budget, which is not raised
    changed = repository.read("costcalc.yaml")
    assert "macs: {max: 0.0287 G}  # agreed in May\n" in changed and "params: 0.1 M\n" in changed
    assert "storage: '0.00" in changed and "GiB' # generous" in changed
    assert "costcalc.yaml:6: macs lowered from 4.2 G to 0.0287 G" in printed
    assert "no budget is above what is reached" in repository.run("check", "--ratchet")[1]


def test_a_budget_holds_each_setup_and_ratchets_to_the_largest(repository: Repository) -> None:
    budgets("macs: 1 G", repository, extra="    at: [{input: 3x32x32}, {input: 3x64x64}]\n")
    repository.run("check", "--ratchet")
    assert "macs: 0.0287 G" in repository.read("costcalc.yaml")


def test_a_config_does_not_run_code(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write("evil.py", "from pathlib import Path\nPath('ran').touch()\n")
    for model in ("evil:build", "evil.py:build", "torchvision:resnet18", "./x.pt2"):
        repository.write("costcalc.yaml", f"version: 1\nmodels:\n  - {{model: '{model}', budgets: {{macs: 1}}}}\n")
        assert "is Python code, which check does not run because a config names it" in repository.fails("check")
        assert "add --allow-code" in repository.fails("lock")
    assert not (repository.folder / "ran").exists()


MISTAKES = [
    (["check"], "there is no costcalc.yaml here; `costcalc init` writes one"),
    (["check", "--max", "macs=1G"], "--max needs a model"),
    (["check", "resnet18", "--max", "macs"], "a budget is FIGURE=AMOUNT, the most that is allowed: macs=4.2G"),
    (["check", "resnet18", "--max", "params<=12M"], "--max params<=12M: a budget is FIGURE=AMOUNT, the most"),
    (["check", "--max-increase", "2%"], "no such option: --max-increase; a config says it, costcalc.yaml: macs: {max_"),
    (["check", "resnet18", "--min=1"], "no such option: --min; a config says it, costcalc.yaml: macs: {min: 1 G}"),
    (["check", "resnet18", "--max", "mac=1G"], "no figure called 'mac' (did you mean 'macs'?)"),
    (["check", "resnet18", "--max", "macs=1G,macs=2G"], "--max gives macs twice"),
    (["check", "resnet18", "--max", "time=1ms"], "a budget of time needs a machine"),
    (["check", "resnet81", "--max", "macs=1G"], "no model called 'resnet81' (did you mean 'resnet8'?)"),
    (["lock"], "there is no costcalc.yaml here"),
    (["diff"], "diff takes two models, or revisions as in main..HEAD and specs"),
    (["diff", "resnet18"], "diff takes two models"),
    (["diff", "resnet18", "resnet34", "--by", "peak"], "causes are given for figures that are sums over layers"),
    (["diff", "resnet18", "resnet34", "--by", "time"], "--by time needs a machine"),
    (["diff", "mian..HEAD"], "git knows no revision 'mian' (did you mean 'main'?)"),
    (["diff", "main..HEAD", "nothing.yaml"], "there is no nothing.yaml in main nor in HEAD"),
    (["diff", "main..HEAD", "resnet18"], "'resnet18' is not a model file in the repository; only files have revisions"),
    (["compare", "resnet18"], "compare takes two or more models"),
]


@pytest.mark.parametrize(("args", "says"), MISTAKES)
def test_a_mistake_is_one_sentence(repository: Repository, args: list[str], says: str) -> None:
    assert says in repository.fails(*args)


CONFIG_MISTAKES = [
    ("time: {max: 1 ms, machine: jetson_orin}", [], "no machine called 'jetson_orin' (did you mean"),
    (
        "receptive_field: {min: 1, at: layer9}",
        [],
        "costcalc.yaml:6:7: no layer or block of backbone is called",
    ),
    ("macs: 1 G", ["--base", "main", "--compare-to", "x"], "choose one"),
    ("macs: 1 G", ["--base", "main", "--locked"], "choose one"),
    ("macs: 1 G", ["--locked"], "there is no costcalc.lock to be up to date with"),
    ("macs: 1 G", ["--base", "nowhere"], "git knows no revision 'nowhere'"),
    ("macs: 1 G", ["--compare-to", "none.json"], "none.json: there is no such file"),
    ("macs: 1 G", ["--compare-to", "costcalc.yaml"], "costcalc.yaml: this is not JSON"),
    ("macs: 1 G", ["--input", "3x8x8"], "--input, --batch, --set, --apply and --layout go with --max"),
    ("macs: 1 G", ["backbon"], "costcalc.yaml has no model 'backbon' (did you mean 'backbone'?)"),
    ("macs: 1 G", ["./costcalc.yaml"], "is a config, not a model of one: give it as --config ./costcalc.yaml"),
]


@pytest.mark.parametrize(("budget", "args", "says"), CONFIG_MISTAKES)
def test_a_mistake_with_a_config_is_one_sentence(
    repository: Repository, budget: str, args: list[str], says: str
) -> None:
    budgets(budget, repository)
    assert says in repository.fails("check", *args)


def test_a_pattern_that_fits_no_layer_is_a_mistake(repository: Repository) -> None:
    budgets("uncounted: 0", repository, extra='    layers: {"heda.*": {macs: 1}}\n')
    assert "'heda.*' fits no layer of backbone" in repository.fails("check")


def test_outside_a_repository_revisions_are_a_mistake(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    monkeypatch.chdir(outside)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(outside.parent))
    assert "this folder is not in a git repository" in repository.fails("diff", "--base", "main")


def test_a_spec_that_was_broken_before_does_not_stand_in_the_way(repository: Repository) -> None:
    repository.edit("configs/backbone.yaml", "head: linear(10)", "head: lineer(10)")
    repository.commit("broken")
    repository.edit("configs/backbone.yaml", "head: lineer(10)", "head: linear(10)")
    budgets("macs: {max_increase: 2%}", repository)
    verdict = only(outcome(base="HEAD"))
    assert verdict.status == "unchecked"
    assert (
        "at HEAD it cannot be read: configs/backbone.yaml:28:" in verdict.description
        and "lineer" in verdict.description
    )


def test_a_config_in_memory() -> None:
    # A zoo name needs no folder.
    tree = read(b"version: 1\nmodels: [{model: lenet5, budgets: {macs: 1 G}}]\n", "x.yaml")
    assert config(tree, "x.yaml").models[0].name == "lenet5"


def test_a_receptive_field_that_is_not_square_is_held_by_the_axis_that_the_bound_is_harder_on(
    repository: Repository,
) -> None:
    # 3 and 9 pixels.
    repository.write("flat.yaml", "inputs: {x: [3, 32, 32]}\nlayers:\n  - conv: conv(4, (3, 9))\n")
    for bound, status in (("{max: 8}", "fail"), ("{max: 9}", "ok"), ("{min: 4}", "fail"), ("{min: 3}", "ok")):
        repository.write(
            "costcalc.yaml",
            f"version: 1\nmodels:\n  - {{name: flat, model: flat.yaml, budgets: {{receptive_field: {bound}}}}}\n",
        )
        assert only(outcome()).status == status, bound


def test_a_decrease_is_held_to_its_amount(repository: Repository) -> None:
    budgets("macs: {max_decrease: 1 k}", repository)
    repository.run("lock")
    for classes, status in ((10, "ok"), (9, "ok"), (0, "fail")):
        # A class of the head less is 64 multiplies less; without nine of them it is 576, and a kernel of 5 in place
        # of 7 is 16·3·24·32² less, far more than a thousand.
        edits = (
            [("head: linear(10)", f"head: linear({classes})")]
            if classes
            else [("(width, 7, stride=2)", "(width, 5, stride=2)")]
        )
        before = repository.read("configs/backbone.yaml")
        for old, new in edits:
            repository.write("configs/backbone.yaml", before.replace(old, new))
        verdict = only(outcome())
        assert verdict.status == status, verdict.description
        assert verdict.limit == MACS - 1000
        repository.write("configs/backbone.yaml", before)
    assert verdict.over == 16 * 3 * 24 * 32**2 - 1000


def test_a_report_of_another_input_size_is_no_baseline(repository: Repository) -> None:
    budgets("macs: {max_increase: 0%}", repository, extra="    at: [{input: 3x64x64}]\n")
    for size, status in ((32, "unchecked"), (64, "ok")):
        command = ("analyze", "configs/backbone.yaml", "--input", f"3x{size}x{size}", "--format", "json", "--output")
        assert repository.run(*command, f"{size}.json")[0] == 0
        verdict = only(outcome(compare_to=f"{size}.json"))
        assert verdict.status == status, verdict.description
        assert ("has it at another input size" in verdict.description) == (status == "unchecked")


def test_report_writes_a_page_beside_the_verdicts(repository: Repository) -> None:
    repository.write("costcalc.yaml", "version: 1\nmodels: [{model: configs/backbone.yaml, budgets: {params: 1 k}}]\n")
    code, printed = repository.run("check", "--report", "x.html")
    assert code == 1 and printed.startswith("FAIL")
    assert "over the budget of 1.00 k" in repository.read("x.html")
    code, printed = repository.run("check", "--format", "json", "--output", "x", "--report", "x")
    assert code == 2 and "--report and --output both name x" in printed


def test_a_peak_over_its_budget_names_the_layers_in_the_unit_of_the_budget(repository: Repository) -> None:
    code, printed = repository.run("check", "resnet18", "--max", "peak=320KB,weights=2 MiB")
    assert code == 1
    # conv1.bn reads and makes 64·112·112 floats of 4 bytes.
    assert f"{2 * 4 * 64 * 112 * 112 / 1000:,.0f} KB  conv1.bn  " in printed
    assert re.search(r"9\.00 MiB  layer4\.0\.conv2\.conv  ", printed)  # 512·512·9 floats, exactly


def test_a_reason_is_not_told_twice(repository: Repository) -> None:
    pytest.importorskip("torch.nn")
    repository.write("net.py", NET)
    repository.commit()
    for budget, notes in (("{max_increase: 2%}", 0), ("1 G", 1)):
        repository.write(
            "costcalc.yaml",
            f"version: 1\nmodels: [{{model: 'net.py:Net', at: [{{input: 3x8x8}}], budgets: {{macs: {budget}}}}}]\n",
        )
        code, printed = repository.run("check", "--allow-code", "--base", "HEAD")
        assert code == 0 and printed.count("there is no costcalc.lock at HEAD") == 1, printed
        assert printed.count("is compared with nothing") == notes
