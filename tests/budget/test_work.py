"""How much a config may ask for, and that a lock is read once."""

from __future__ import annotations

import time

import pytest
from throwaway import Repository

from costcalc.budget import limits, session
from costcalc.budget.lock import Lock


@pytest.mark.parametrize("command", ["check", "lock"])
def test_many_measurements_of_a_deep_model_are_refused_after_the_first(command: str, empty: Repository) -> None:
    empty.write("net.yaml", "inputs: {image: [8, 8, 8]}\nlayers:\n- for i in range(500):\n  - conv(8, 3, padding=1)\n")
    at = ", ".join(f"{{batch: {i + 1}}}" for i in range(1000))
    empty.write("costcalc.yaml", f"version: 1\nmodels:\n- {{model: net.yaml, budgets: {{macs: 1}}, at: [{at}]}}\n")
    started = time.process_time()
    code, printed = empty.run(command)
    assert code == 2 and time.process_time() - started < 5
    assert printed.startswith(
        "costcalc: error: costcalc.yaml:3:11: the models of this config have more than 150,000 la"
    )


def test_what_is_yet_to_come_is_foreseen_by_what_a_model_had(
    empty: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_LAYERS", 10)
    empty.write("net.yaml", "inputs: {image: [8, 8, 8]}\nparameters: {n: 1}\nlayers:\n- for i in range(n):\n  - relu\n")
    for sizes, code in (([4, 6], 0), ([4, 7], 2), ([5, 5], 0), ([6, 4], 2), ([1, 1, 8], 0), ([11], 2)):
        at = ", ".join(f"{{parameters: {{n: {n}}}}}" for n in sizes)
        empty.write("costcalc.yaml", f"version: 1\nmodels:\n- {{model: net.yaml, budgets: {{macs: 1}}, at: [{at}]}}\n")
        assert empty.run("check")[0] == code, sizes
    # Who names models on the command line knows what they take.
    assert empty.run("check", "net.yaml", "--set", "n=20", "--max", "macs=1")[0] == 0


def test_patterns_of_layers_and_engines_count_as_what_they_take(
    empty: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_LAYERS", 10)
    empty.write("net.yaml", "inputs: {image: [8, 8, 8]}\nlayers:\n- for i in range(4): relu\n")
    patterns = [f"'*{'*' * i}': {{ops: 1}}" for i in range(20)]
    for more, code in (
        ("budgets: {macs: 1}", 0), ("budgets: {memory: {max: 1 MB, engine: tflm}}", 2),
        (f"layers: {{{', '.join(patterns[:9])}}}", 1), (f"layers: {{{', '.join(patterns)}}}", 2),
    ):  # fmt: skip
        empty.write("costcalc.yaml", f"version: 1\nmodels:\n- {{model: net.yaml, {more}}}\n")
        found, printed = empty.run("check")
        assert found == code, (more, printed)
        assert (code == 2) == ("divide the config" in printed)


def test_a_deep_model_planned_many_times_is_refused(empty: Repository) -> None:
    empty.write(
        "net.yaml", "inputs: {image: [8, 64, 64]}\nlayers:\n- for i in range(3000):\n  - conv(8, 3, padding=1)\n"
    )
    at = ", ".join(f"{{input: 8x{64 + i}x64}}" for i in range(30))
    budget = "{memory: {max: 1 MB, engine: mcu}}"
    empty.write("costcalc.yaml", f"version: 1\nmodels:\n- {{model: net.yaml, budgets: {budget}, at: [{at}]}}\n")
    code, printed = empty.run("check")
    assert code == 2 and "more than 150,000 layers" in printed


def test_usual_networks_in_two_setups_with_engines_are_checked(empty: Repository) -> None:
    networks = (
        "lenet5", "alexnet", "vgg16", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet",
        "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "squeezenet1_0", "squeezenet1_1", "densenet121",
        "densenet201", "efficientnet_b0", "efficientnet_b1", "googlenet", "shufflenet_v2_x1_0",
    )  # fmt: skip
    for engine in ("mcu", "tflm"):
        rows = "".join(
            f"- {{model: {name}, budgets: {{memory: {{max: 1 GB, engine: {engine}}}}}, at: [{{}}, {{batch: 2}}]}}\n"
            for name in networks
        )
        empty.write("costcalc.yaml", f"version: 1\nmodels:\n{rows}")
        code, printed = empty.run("check")
        assert code in (0, 1), printed
        assert "divide the config" not in printed


@pytest.mark.parametrize("command", ["check", "lock"])
def test_a_model_that_is_named_again_is_measured_once(
    command: str, empty: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    from costcalc.budget import measure, reuse

    empty.write("net.yaml", "inputs: {image: [8, 8, 8]}\nlayers:\n- conv(8, 3)\n")
    rows = "".join(f"- {{name: n{i}, model: net.yaml, budgets: {{macs: {20736 - i % 2}}}}}\n" for i in range(5))
    empty.write("costcalc.yaml", f"version: 1\nmodels:\n{rows}- {{name: b, model: net.yaml, at: [{{batch: 2}}]}}\n")
    seen: list[str] = []

    def counted(model: str, *given: object, **more: object) -> measure.Measured:
        seen.append(model)
        return measure.measure(model, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(reuse, "measure", counted)
    code, printed = empty.run(command)
    assert len(seen) == 2
    if command == "check":
        assert code == 1 and all(f"n{i}" in printed for i in (1, 3)), printed


def test_a_lock_is_read_once_in_a_check(empty: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    empty.write("net.yaml", "inputs: {image: [8, 8, 8]}\nlayers:\n- relu\n")
    empty.write("costcalc.yaml", "version: 1\nmodels:\n- {model: net.yaml, budgets: {macs: {max_increase: 1%}}}\n")
    assert empty.run("lock")[0] == 0
    read: list[str] = []
    original = session.read_lock

    def counted(path: str) -> Lock | None:
        read.append(path)
        return original(path)

    monkeypatch.setattr(session, "read_lock", counted)
    assert empty.run("check", "--locked")[0] == 0
    assert len(read) == 1


def test_init_says_what_it_leaves_out(empty: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from costcalc.budget import init

    monkeypatch.setattr(init, "MOST_MODELS", 2)
    for name in "abcd":
        layers = "- conv(8, 99)" if name == "a" else "- relu"
        empty.write(f"{name}.yaml", f"inputs: {{image: [8, 8, 8]}}\nlayers:\n{layers}\n")
    code, printed = empty.run("init")
    assert code == 0
    assert "\nleft out a.yaml: a.yaml:3:3: " in printed and "the kernel spans 99" in printed
    assert "\nleft out d.yaml: 2 models are measured at once; name others, costcalc init MODEL...\n" in printed


def test_init_measures_no_more_layers_than_a_start_needs(empty: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from costcalc.budget import init

    monkeypatch.setattr(init, "MOST_LAYERS", 10)
    for name in "abc":
        empty.write(f"{name}.yaml", "inputs: {image: [8, 8, 8]}\nlayers:\n- for i in range(9):\n  - relu\n")
    assert "left out c.yaml: 2 models are measured" in empty.run("init")[1]
