"""Every mistake in a config has its sentence, with file, line and column, and what would be accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costcalc.budget.config import Setup, beside
from costcalc.budget.read import read_config
from costcalc.errors import CostcalcError

GOOD = """\
version: 1
models:
  - name: backbone
    model: configs/backbone.yaml
    at:
      - {input: 3x224x224, fold_norm: true}
      - {input: [3, 384, 384], batch: 8, bits: 16, parameters: {num_classes: 10}}
    budgets:
      macs: {max: 4.2 G, max_increase: 2%, level: error}
      params: 26 M
      storage: {max: 100 MiB}
      traffic: {max_increase: 5%, level: warn}
      receptive_field: {min: 224, at: layer4}
      time: {max: 12 ms, machine: jetson_orin_nano}
      uncounted: 0
    layers: {"head.*": {macs: 200 M}}
    message: Over budget? See docs/edge-target.md
exempt: [{model: backbone, metric: macs, until: 2027-01-31, reason: larger stem}]
"""


def write(tmp_path: Path, text: str, name: str = "costcalc.yaml") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_config_of_the_documentation_is_read(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, GOOD))
    (model,) = config.models
    assert [b.description for b in model.budgets] == [
        "macs", "params", "storage", "traffic", "receptive_field at layer4", "time on jetson_orin_nano", "uncounted",
        "macs of head.*",
    ]  # fmt: skip
    assert model.at == (Setup((3, 224, 224), apply=("fold_norm",)), Setup((3, 384, 384), 8, 16, {"num_classes": 10}))
    assert [s.label for s in model.at] == ["3x224x224, norms folded", "3x384x384, batch 8, 16 bit, num_classes=10"]
    assert [b.location.line for b in model.budgets] == [9, 10, 11, 12, 13, 14, 15, 16]
    assert str(config.exempt[0].until) == "2027-01-31"


def test_the_same_in_pyproject_toml_is_the_same(tmp_path: Path) -> None:
    pytest.importorskip("tomllib" if __import__("sys").version_info >= (3, 11) else "tomli")
    text = """\
[project]
name = "mine"

[tool.costcalc]
version = 1
exempt = [{model = "backbone", metric = "macs", until = 2027-01-31, reason = "larger stem"}]

[[tool.costcalc.models]]
name = "backbone"
model = "configs/backbone.yaml"
at = [
    {input = "3x224x224", fold_norm = true},
    {input = [3, 384, 384], batch = 8, bits = 16, parameters = {num_classes = 10}},
]
message = "Over budget? See docs/edge-target.md"
layers = {"head.*" = {macs = "200 M"}}

[tool.costcalc.models.budgets]
macs = {max = "4.2 G", max_increase = "2%", level = "error"}
params = "26 M"
storage = {max = "100 MiB"}
traffic = {max_increase = "5%", level = "warn"}
receptive_field = {min = 224, at = "layer4"}
time = {max = "12 ms", machine = "jetson_orin_nano"}
uncounted = 0
"""
    ours, theirs = read_config(write(tmp_path, text, "pyproject.toml")), read_config(write(tmp_path, GOOD))

    def known(config: object) -> str:
        import re

        text = re.sub(r"(Location\([^)]*\)|<[^>]*>|Version\([^)]*\))", "", repr(config))
        return text.replace("pyproject.toml", "costcalc.yaml")

    assert known(ours) == known(theirs)
    assert ours.models[0].budgets[0].location.line == 19
    with pytest.raises(CostcalcError) as error:
        read_config(write(tmp_path, text.replace("storage =", "storagee ="), "pyproject.toml"))
    assert "pyproject.toml:21" in str(error.value) and "did you mean 'storage'?" in str(error.value)
    other = text.replace('name = "mine"', 'name = "mine"  # [tool.costcalc] is below\nversion = "1.0"')
    with pytest.raises(CostcalcError, match=r"pyproject\.toml:6"):
        read_config(write(tmp_path, other.replace("version = 1\n", "version = 2\n"), "pyproject.toml"))


WRONG = [
    ("version: 1", "version: 2", "1:10: the config has version 2, and this costcalc reads 1"),
    ("version: 1\n", "", "the config has no version; it begins with 'version: 1'"),
    ("    budgets:", "    budget:", "8:5: a model has no 'budget' (did you mean 'budgets'?)"),
    ("      params: 26 M", "      parms: 26 M", "10:7: no figure called 'parms' (did you mean 'params'?)"),
    (
        "      params: 26 M",
        "      gflops: 26 M",
        "10:15: '26 M' is not an amount of gflops, whose name says the unit; write gflops: 26",
    ),
    ("{max: 100 MiB}", "{max: 100 MiBB}", "11:22: '100 MiBB' is not an amount of storage (did you mean 'MiB'?)"),
    ("{max: 100 MiB}", "{mx: 100 MiB}", "11:17: a budget of storage has no 'mx' (did you mean 'max'?)"),
    ("{max: 100 MiB}", "{max: 1 MiB, min: 2 MiB}", "storage cannot be at least 2 MiB and at most 1 MiB"),
    ("{max: 100 MiB}", "{level: warn}", "storage has no bound: give max, min, max_increase or max_decrease"),
    ("level: warn", "level: fatal", "12:42: level must be error or warn, not 'fatal'"),
    (", machine: jetson_orin_nano", "", "a budget of time needs a machine"),
    ("max_increase: 5%", "max_increase: 5 %%", "12:31: '5 %%' is not a change"),
    ("3x224x224", "3xx224", "6:17: a shape is sizes from 1 with x between them, as in 3x224x224"),
    ("fold_norm: true", "fold_norm: 2", "fold_norm must be true or false, not '2'"),
    ("batch: 8", "batch: 0", "batch must be a whole number from 1, not '0'"),
    ("until: 2027-01-31", "until: soon", "'soon' is not a date; write it as 2027-01-31"),
    ("model: backbone, metric", "model: backbon, metric", "no model called 'backbon' (did you mean 'backbone'?)"),
    ("metric: macs", "metric: peak", "backbone has no budget of peak to be exempt from"),
    ("reason: larger stem", "because: larger stem", "an exemption has no 'because'"),
    ('{"head.*": {macs: 200 M}}', '{"head.*": {peak: 200 MiB}}', "peak is not a sum over layers"),
    ("      params: 26 M", "      macs: 26 M", "'macs' stands here twice"),
    ("    model: configs/backbone.yaml\n", "", "a model needs 'model': the path of a spec, or a name of the zoo"),
    ("{num_classes: 10}", "{num_classes: 1 +}", "is not an expression"),
]


@pytest.mark.parametrize(("old", "new", "says"), WRONG)
def test_a_mistake_has_its_sentence_and_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert GOOD.count(old) == 1, old
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(CostcalcError) as error:
        read_config(path)
    assert says in str(error.value).removeprefix(f"{path}:"), str(error.value)
    assert str(error.value).startswith(path) and error.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "[]", "version: 1\nmodels: []\n", "\x00", "a: &a [*a]", "models:\n\t- x", "3"])
def test_what_is_no_config_is_an_error_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(CostcalcError) as error:
        read_config(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    text = "version: 1\nmodels:\n  - {name: a, model: x.yaml}\n  - {name: a, model: y.yaml}\n"
    with pytest.raises(CostcalcError, match="two models are called 'a'"):
        read_config(write(tmp_path, text))


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_config_is_read_or_refused_and_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    words = re.findall(r"\s+|[\w.%]+|.", GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(words) - 1))
        words[at] = data.draw(st.sampled_from(["", "0", "-1", "{}", "[]", "9e99", "x", "\n", "&a", "*a", "[", *words]))
    try:
        read_config(write(tmp_path, "".join(words)))
    except CostcalcError as error:
        assert "\n" not in str(error) and error.exit_code == 2


def test_a_path_is_shown_without_steps_back_unless_a_link_makes_them_lead_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("ci", "configs", "far/away"):
        Path(folder).mkdir(parents=True)
    Path("link").symlink_to("far/away")
    assert beside("ci", "../configs/net.yaml:small") == "configs/net.yaml:small"
    assert beside("", "net.yaml") == "net.yaml" and beside("..", "net.yaml") == "../net.yaml"
    assert beside("ci", str(tmp_path / "net.yaml")) == str(tmp_path / "net.yaml")
    assert beside("link", "../net.yaml") == "link/../net.yaml"  # far/net.yaml
    assert beside("nowhere", "../net.yaml") == "nowhere/../net.yaml"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("input: 3x8x8", "a model has no 'input'; it is written at: [{input: …}]; it has at, budgets"),
        ("parameters: {width: 3}", "it is written at: [{parameters: …}]"),
        ("macs: 2 G", "a model has no 'macs'; it is written budgets: {macs: …}"),
        ("nam: a", "a model has no 'nam' (did you mean 'name'?); it has at"),
    ],
)
def test_a_key_that_stands_elsewhere_says_where(
    key: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("costcalc.yaml").write_text(f"version: 1\nmodels:\n  - model: lenet5\n    {key}\n", encoding="utf-8")
    with pytest.raises(CostcalcError) as caught:
        read_config("costcalc.yaml")
    assert str(caught.value).startswith("costcalc.yaml:4:5: ") and says in str(caught.value)
