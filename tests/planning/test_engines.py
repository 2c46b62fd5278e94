"""What each engine holds, against what was recorded of the engine itself, and laws that every plan obeys."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

import costcalc
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.planning.engines import ENGINES, plan
from costcalc.planning.jobs import Job, Jobs, lifetimes, loads
from costcalc.planning.ordering import best_order, reordered
from costcalc.planning.records import ArenaTensor, Memory

# Arena head of TFLite Micro, recorded while it ran converted networks, float32.
TFLM = {
    "squeezenet1_1": 3_928_576,
    "mobilenet_v2": 9_807_360,
    "resnet18": 6_538_240,
    "mobilenet_v3_large": 6_538_240,
    "shufflenet_v2_x1_0": 2_451_840,
}
# The most bytes in storages of PyTorch 2.13.0 that Python could reach at once, batch 1, evaluation, on the CPU.
EAGER = {"resnet18": 7_024_640, "mobilenet_v2": 11_038_720, "googlenet": 7_024_640}
SOME = ["lenet5", "resnet18", "densenet121", "inception_v3", "shufflenet_v2_x1_0", "efficientnet_b0", "swin_t", "unet"]


def small(*layers: tuple[str, dict[str, object], list[str]], shape: tuple[int, ...] = (1, 3, 16, 16)) -> Graph:
    """A graph of ops by name, options and inputs, each called ``a``, ``b`` … in turn; the last is its output."""
    builder = GraphBuilder("small", {"image": TensorType(shape)})
    name = ""
    for name, (op, options, inputs) in zip("abcdefghij", layers, strict=False):
        builder.add(name, find_op(op)(**options), inputs)
    return builder.build([name])


@pytest.mark.parametrize("model", TFLM)
def test_tflm_holds_what_its_interpreter_was_seen_to_hold(model: str) -> None:
    found = costcalc.memory(model, engine="tflm")
    assert found.arena_bytes == TFLM[model]
    assert found.optimal


@pytest.mark.parametrize("model", EAGER)
def test_pytorch_holds_what_was_measured(model: str) -> None:
    assert costcalc.memory(model).peak_bytes == EAGER[model]


def test_mobilenet_v2_in_place_takes_1372_kib() -> None:
    # 16 × 112² going into 96 × 112², one byte each: the depthwise convolution after it adds only a channel.
    found = costcalc.memory("mobilenet_v2", engine="mcu", bits=8)
    assert found.peak_bytes == found.arena_bytes == (16 + 96) * 112 * 112 == 1372 * 1024
    # Biases have 32 bits: 3,504,872 parameters, less two vectors for each of 17,056 normed channels, plus a bias.
    weights = 3_504_872 - 2 * 17_056 - 1000
    assert found.weights_bytes == weights + 4 * (17_056 + 1000)


def test_tflite_unrolls_the_input_of_a_convolution() -> None:
    # Seen in LiteRT 2.3.0 without delegate: 93,184 bytes, where the maps take 19,456.
    conv = {"out_channels": 8, "kernel": 3, "padding": 1}
    graph = small(("conv", conv, ["image"]), ("conv", conv, ["a"]))
    found = plan(graph, "tflite")
    maps = {t.name: t.bytes for t in found.tensors}
    assert maps == {"image": 3072, "a": 8192, "b": 8192, "a (scratch)": 27_648, "b (scratch)": 73_728}
    assert found.arena_bytes == 93_184
    assert sum(maps[name] for name in ("image", "a", "b")) == 19_456


def test_tflite_pads_by_an_operator_what_is_not_its_own_padding() -> None:
    def padded(op: str, **options: object) -> list[int]:
        found = plan(small((op, options, ["image"])), "tflm")
        return [t.bytes for t in found.tensors if "padded" in t.name]

    conv = {"out_channels": 4, "kernel": 3}
    assert padded("conv", **conv, padding=1) == []  # SAME
    assert padded("conv", **conv, padding=0, stride=2) == []  # VALID
    assert padded("conv", **conv, padding="same", stride=2) == []  # 0 before, 1 after
    assert padded("conv", **conv, padding=1, stride=2) == [3 * 18 * 18 * 4]
    assert padded("max_pool", kernel=3, stride=2, padding=1) == [3 * 18 * 18 * 4]
    assert padded("max_pool", kernel=3, stride=2, ceil_mode=True) == []  # hangs over by one, as SAME does
    assert padded("avg_pool", kernel=3, stride=1, padding=1) == [3 * 18 * 18 * 4]  # zeros are averaged in
    assert padded("avg_pool", kernel=3, stride=1, padding=1, count_include_pad=False) == []


def test_tflite_writes_a_sum_over_what_nothing_else_reads_and_never_gives_inputs_up() -> None:
    relu = ("sigmoid", {}, ["image"])
    graph = small(relu, ("sigmoid", {}, ["a"]), ("add", {}, ["a", "b"]), ("sigmoid", {}, ["c"]))
    found = {t.name: t for t in plan(graph, "tflite").tensors}
    assert (found["image"].first, found["image"].last) == (0, 3)
    assert found["c"].offset == found["b"].offset  # b has one reader, a has two
    assert found["b"].last + 1 == found["c"].first
    last = {t.name: t for t in plan(small(relu, ("add", {}, ["a", "image"])), "tflite").tensors}
    assert last["b"].offset != last["a"].offset  # what the network returns is not shared


def test_layers_that_are_several_operators() -> None:
    silu = plan(small(("silu", {}, ["image"])), "tflm")
    assert (silu.peak_bytes, len(silu.steps)) == (3 * 3072, 2)  # x, its sigmoid, and their product
    norm = plan(small(("batch_norm", {}, ["image"]), ("relu", {}, ["a"])), "tflm")
    assert (norm.peak_bytes, len(norm.steps)) == (2 * 3072, 2)  # multiply, then add and clip


def test_a_depthwise_convolution_that_shrinks_its_map_stays_in_its_place() -> None:
    graph = small(
        ("pointwise", {"out_channels": 8}, ["image"]),
        ("depthwise", {"kernel": 3, "stride": 2, "padding": 1}, ["a"]),
        ("pointwise", {"out_channels": 4}, ["b"]),
    )
    found = plan(graph, "mcu", 8)
    at = {t.name: t for t in found.tensors}
    assert at["a"] == ("a", 2048, 0, 1, 0)
    assert at["b"] == ("b", 512, 2, 2, 0)
    assert at["b (scratch)"].bytes == 64
    assert [step.bytes for step in found.steps] == [768 + 2048, 2048 + 64, 512 + 256]


def test_a_place_that_is_not_filled_proves_nothing() -> None:
    # b takes the place of a, of which it needs a quarter; the rest of it could hold a part of c.
    graph = small(
        ("pointwise", {"out_channels": 8}, ["image"]),
        ("depthwise", {"kernel": 3, "stride": 2, "padding": 1}, ["a"]),
        ("pointwise", {"out_channels": 64}, ["b"]),
    )
    found = plan(graph, "mcu", 8)
    assert (found.peak_bytes, found.arena_bytes) == (512 + 4096, 2048 + 4096)
    assert (found.lower_bound_bytes, found.optimal) == (512 + 4096, False)


def test_patches_overlap_as_windows_do() -> None:
    graph = small(
        ("conv", {"out_channels": 4, "kernel": 3, "padding": 1}, ["image"]),
        ("conv", {"out_channels": 8, "kernel": 3, "padding": 1}, ["a"]),
        ("sigmoid", {}, ["b"]),
        ("global_avg_pool", {}, ["c"]),
    )
    found = plan(graph, "mcu", 8)
    assert found.peak_bytes == 12 * 16 * 16  # b, which has taken a in, and c in its place
    (two, *_) = found.patches
    # Halves of 8 see 9 of a, and those 10 of the image: a is done on 18² places in place of 16².
    assert (two.grid, two.layer) == (2, "b")
    assert two.again == 4 * 27 * (18**2 - 16**2)
    image, whole, tile = 3 * 16 * 16, 8 * 16 * 16, 4 * 9 * 9
    assert two.peak_bytes == image + whole + tile


@pytest.mark.parametrize("model", ["kws", "dla169"])
def test_patches_pass_what_changes_nothing_and_end_at_what_nothing_reads(model: str) -> None:
    """A dropout between two layers; a pooled map of which no layer makes use."""
    found = costcalc.memory(model, engine="mcu", bits=8)
    assert all(p.peak_bytes > 0 and p.again >= 0 for p in found.patches)
    if model == "kws":
        assert (found.patches[0].layer, found.patches[0].peak_bytes) == ("block1.depthwise.conv", 16_000)


def test_patches_of_mobilenet_v2() -> None:
    found = costcalc.memory("mobilenet_v2", engine="mcu", bits=8)
    peaks, again = [p.peak_bytes for p in found.patches], [p.again for p in found.patches]
    assert [p.grid for p in found.patches] == [2, 3, 4, 6, 8]
    assert peaks == sorted(peaks, reverse=True) and again == sorted(again)
    assert peaks[0] < found.peak_bytes / 2
    macs = costcalc.analyze("mobilenet_v2").total.macs
    assert all(p.macs == macs + p.again for p in found.patches)


def test_a_block_holds_what_it_was_given() -> None:
    builder = GraphBuilder("blocks", {"image": TensorType((1, 1, 8, 8))})
    for name, source in (("a", "image"), ("b.one", "a"), ("b.two", "b.one"), ("c", "b.two")):
        builder.add(name, find_op("sigmoid")(), [source])
    found = plan(builder.build(["c"]), "eager")
    lives = {t.name: (t.first, t.last) for t in found.tensors}
    assert lives == {"image": (0, 3), "a": (0, 2), "b.one": (1, 2), "b.two": (2, 3), "c": (3, 3)}
    assert found.arena_bytes is None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", SOME)
def test_every_plan_is_one(model: str, engine: str) -> None:
    found = costcalc.memory(model, engine=engine)
    check(found)
    if engine not in ("eager", "tflite"):  # which round nothing and give up what they need no more
        assert costcalc.memory(model, engine=engine, batch=2).peak_bytes <= 2 * found.peak_bytes


def check(found: Memory) -> None:
    """A plan says what lives at each step, and no two that live together lie on each other."""
    for i, step in enumerate(found.steps):
        assert step.bytes == sum(t.bytes for t in found.tensors if t.first <= i <= t.last)
    assert found.peak_bytes == max(step.bytes for step in found.steps)
    assert found.steps[found.peak_step].layer == found.at
    assert found.lower_bound_bytes <= found.peak_bytes
    if found.arena_bytes is None:
        assert not found.optimal
        return
    assert found.arena_bytes >= found.peak_bytes
    assert found.optimal == (found.arena_bytes == found.lower_bound_bytes)
    placed = [(t, t.offset) for t in found.tensors if t.bytes and t.offset is not None]
    assert found.arena_bytes == max(offset + t.bytes for t, offset in placed)
    for i, (a, at) in enumerate(placed):
        for b, other in placed[:i]:
            if a.first <= b.last and b.first <= a.last:
                assert at + a.bytes <= other or other + b.bytes <= at, (a, b)


def test_best_fit_takes_the_tightest_gap() -> None:
    from costcalc.planning.placing import best_fit, first_fit

    # Below x a gap of 128, between x and y one of 64.
    tensors = [
        ArenaTensor("p", 128, 0, 0),
        ArenaTensor("x", 192, 0, 1),
        ArenaTensor("q", 64, 0, 0),
        ArenaTensor("y", 65, 0, 1),
    ]
    tensors.append(ArenaTensor("z", 40, 1, 1))
    assert {t.name: t.offset for t in best_fit(tensors, 64)} == {"x": 0, "p": 192, "y": 320, "q": 448, "z": 192}
    assert first_fit(tensors)[-1].offset == 192


def random_jobs(random: Random) -> Jobs:
    """Up to eight steps that read some of what is there before them, perhaps not all inputs."""
    inputs = {f"in {k}": random.randint(1, 20) for k in range(random.choice((1, 1, 2, 3)))}
    buffers, steps = [*inputs], []
    for i in range(random.randint(3, 8)):
        reads = random.sample(buffers, random.randint(1, min(2, len(buffers))))
        makes = tuple((f"{i}.{k}", random.randint(1, 20)) for k in range(random.choice((1, 1, 2))))
        more = random.choice(((), (), (3, 4)))
        steps.append(Job(str(i), tuple(reads), makes, random.choice((0, 0, 5)), more=more))
        buffers += [name for name, _ in makes]
    return Jobs(inputs, tuple(steps), (buffers[-1], *random.sample(buffers, random.choice((0, 0, 1)))))


def test_no_order_holds_less_than_the_best_one() -> None:
    random = Random(14)
    better = 0
    for _ in range(150):
        jobs = random_jobs(random)
        maker = {name: i for i, job in enumerate(jobs.steps) for name, _ in job.makes}
        needs = [{maker[v] for v in job.reads if v in maker} for job in jobs.steps]
        peaks = []
        for order in permutations(range(len(needs))):
            if all(needs[i] <= set(order[:k]) for k, i in enumerate(order)):
                there = reordered(jobs, order)
                peaks.append(max(step.bytes for step in loads(lifetimes(there).tensors, there)))
        found = best_order(jobs)
        assert (found.peak, found.bound) == (min(peaks), min(peaks))
        there = reordered(jobs, found.steps)
        assert max(step.bytes for step in loads(lifetimes(there).tensors, there)) == found.peak
        better += found.peak < peaks[0]  # the order in which they are written
    assert better > 30


def test_a_search_that_ends_early_says_how_far_it_may_be_off() -> None:
    random = Random(2)
    for _ in range(200):
        jobs = random_jobs(random)
        best, short = best_order(jobs), best_order(jobs, most=1)
        assert short.bound <= best.peak <= short.peak
        assert sorted(short.steps) == list(range(len(jobs.steps)))


def test_the_best_order_of_a_network_is_proved() -> None:
    # Of 60 layers of two trees: 6,823,936 bytes where the order in which they are written needs 8,028,160.
    found = costcalc.memory("dla60", engine="ideal")
    assert (found.peak_bytes, found.optimal) == (6_823_936, True)
    assert "8,028,160" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"engine": "tflmicro"}, "no engine called 'tflmicro' (did you mean 'tflm'?)"),
        ({"bits": 0}, "bits must be a whole number from 1 to 1024"),
    ],
)
def test_mistakes_are_told(given: dict[str, object], says: str) -> None:
    with pytest.raises(CostcalcError, match=None) as error:
        costcalc.memory("lenet5", **given)  # type: ignore[arg-type]
    assert says in str(error.value)


def test_symbols_have_no_bytes() -> None:
    graph = costcalc.load("lenet5", symbols=["batch"])
    with pytest.raises(CostcalcError, match="sizes that are numbers"):
        plan(graph, "ideal")
