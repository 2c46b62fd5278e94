"""The totals in full, with what each of them counts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from costcalc.amounts.formatting import field_text, show
from costcalc.amounts.units import amount, grams, grouped, joules, percent, rate, seconds, size
from costcalc.analysis.figures import BITS, COUNT, FIGURES, RATIO, SUMMARY, field_at_end, figures_in
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.records import Block, Layer, Report
from costcalc.analysis.sizes import sizes
from costcalc.backends.escape import harmless, visible
from costcalc.backends.paint import Paint
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim

if TYPE_CHECKING:
    from costcalc.analysis.energy import Energy, EnergyTable
    from costcalc.analysis.floor import TimeFloor


class Fact(NamedTuple):
    """One total: what it is called, its figure, and what the figure counts."""

    name: str
    figure: str
    description: str


def after(applied: Sequence[str]) -> str:
    """That a model is shown as transforms left it: ``after fold_norm, fuse:ort``; "" if none was applied."""
    return f"after {', '.join(applied)}" if applied else ""


def not_counted(report: Report) -> str:
    """What has no rule, and so which totals are not the whole."""
    marks = " or ".join(dict.fromkeys((report.mark("params"), report.mark("macs"))))
    return f"{without_rule(report)}; every total with {marks} leaves it out"


def without_rule(report: Report) -> str:
    """Which operators have no rule: how often each is there, and the first layer that is one, with its shapes."""
    kinds: dict[str, list[Layer]] = {}
    for layer in report.uncounted:
        kinds.setdefault(layer.kind, []).append(layer)
    named = []
    for kind, layers in kinds.items():
        read, made = (
            ", ".join("×".join(map(str, shape)) or "scalar" for shape in shapes)
            for shapes in (layers[0].input_shapes, layers[0].output_shapes)
        )
        more = ", …" if len(layers) > 1 else ""
        named.append(f"{kind} ×{len(layers)} ({layers[0].name}: {read or 'nothing'} → {made}{more})")
    return f"not counted, no rule is known: {'; '.join(named)}"


def _number(n: Dim) -> str:
    return grouped(n) if isinstance(n, int) else str(n)


def marked(report: Report, figure: str, text: str) -> str:
    """``text``, the total of ``figure``, after a sign if it is a bound or less: ``≥ 4.09 G``."""
    mark = report.mark(figure)
    return f"{mark} {text}" if mark and text else text


def facts(report: Report, also: Collection[str] = ()) -> Iterator[Fact]:
    """The totals of ``report``, one after the other, with the figures on demand that ``also`` names."""
    total = report.total

    def number(figure: str, n: Dim) -> str:
        return marked(report, figure, _number(n))

    def stored(figure: str, bits: Dim) -> str:
        return marked(report, figure, size(bits)) if isinstance(bits, int) else f"{bits} bits"

    buffers = "" if total.buffers == 0 else f", with the {number('buffers', total.buffers)} elements of buffers"
    read, written = stored("read", total.read_bits), stored("write", total.write_bits)
    at = f", in {total.peak_at}" if total.peak_at else ""
    said = {
        "params": f"{stored('weights', total.weight_bits)}{_trained(report)}{buffers}",
        "traffic": f"{read} read, {written} written, layer by layer",
        "peak": f"of activations at once, nothing in place{at}",
    }
    for figure in figures_in(SUMMARY, also):
        if figure.name == "receptive_field":
            yield from _field(report)
            continue
        name, value = figure.name, figure.whole(report) if figure.whole else figure.of(total)
        if value is None or (figure.unless and value == FIGURES[figure.unless].of(total)):
            continue
        if figure.unit in (BITS, COUNT):
            text = stored(name, value) if figure.unit == BITS else number(name, value)
        else:
            text = marked(report, name, f"{value:.1f}" if figure.unit == RATIO else show(figure, value))
        yield Fact(figure.titled(SUMMARY), text, said.get(name) or figure.described(SUMMARY))
    if total.prepared:
        once = total.prepared
        work = f"{_number(once.macs)} MACs and {_number(once.ops)} ops, which are not part of these figures"
        kept = f"; {stored('weights', once.bits)} of storage are theirs" if once.bits != 0 else ""
        least = f"; without a rule for {once.uncounted} of them" if once.uncounted else ""
        many = f"{once.layers} layer{'s' * (once.layers != 1)}"
        yield Fact("prepared", many, f"once, before inference: {work}{kept}{least}")
    if report.machine and total.estimate:
        yield from _estimate(report)
    if report.machine and total.time:
        share = percent(total.time.in_memory, total.time.seconds)
        says = f"at the peak rates of {report.machine.title}, layer by layer; {share} in layers bound by memory"
        yield Fact("time", marked(report, "time", seconds(total.time.seconds)), says)
        if total.floor:
            yield Fact("floor", marked(report, "floor", seconds(total.floor.seconds)), _floor(total.floor))
        yield from _too_large(report)
    if report.energies and total.energy:
        yield from _energy(report, report.energies, total.energy)
    fps, pace = report.settings.fps, report.pace
    if fps and pace:
        of = f", {percent(pace.share, 1)} of what it has" if pace.share is not None else ""
        yield Fact("bandwidth", rate(pace.bandwidth), f"needed for {amount(fps)} passes a second{of}")
        if pace.busy is not None and pace.busy > 1:
            yield Fact("too slow", f"{amount(fps / pace.busy)} fps", f"by the roofline, where {amount(fps)} are wanted")


def _field(report: Report) -> Iterator[Fact]:
    """The receptive field at the end, as its column has it, and of which layer it is."""
    layer, field = field_at_end(report)
    if layer is None:
        return
    unit = ", in pixels" if isinstance(field, ReceptiveField) else ""
    yield Fact(FIGURES["receptive_field"].title, field_text(field), f"receptive field of {layer.name}{unit}")


def _energy(report: Report, table: EnergyTable, energy: Energy) -> Iterator[Fact]:
    """The energy, its two parts and by which table; or why it is unknown."""
    if energy.joules is None:
        needs = [layer for layer in report.layers if layer.energy and layer.energy.unknown]
        more = f" and {len(needs) - 1:,} more layers need" if len(needs) > 1 else " needs"
        yield Fact("energy", "unknown", f"{energy.unknown}, which {needs[0].name}{more}")
        return
    how = "by kernel" if report.total.kernels is not None else "layer by layer"
    level = f", all of it with {table.level}" if table.level else ""
    says = f"MACs {joules(energy.macs or 0)}, traffic {joules(energy.traffic or 0)}: {how}{level}; {table.title}"
    yield Fact("energy", marked(report, "energy", joules(energy.joules)), says)
    if report.grid is not None and report.grams is not None:
        says = f"of CO2, where a kilowatt hour has {amount(report.grid)} g"
        yield Fact("emissions", marked(report, "energy", grams(report.grams)), says)


def _estimate(report: Report) -> Iterator[Fact]:
    """The estimate, its interval, and what it was made of."""
    estimate, machine = report.total.estimate, report.machine
    if estimate is None or machine is None or machine.calibration is None:
        return
    made = machine.calibration
    kernels = f"kernels of {made.apply}" if made.apply else "layers one by one"
    bits = f", {made.bits} bits" if made.bits is not None else ""
    says = (
        f"{seconds(estimate.low)} to {seconds(estimate.high)} holds eight of ten times: fitted to {made.rows:,} on "
        f"{machine.title}, {kernels}{bits}; half of those held out were within {percent(made.median, 1)}"
    )
    if report.beyond:
        says += f". Beyond what was measured: {'; '.join(report.beyond)}"
    yield Fact("estimate", marked(report, "estimate", seconds(estimate.seconds)), says)


def _floor(floor: TimeFloor) -> str:
    what = "what must pass to and from main memory" if floor.bound == "memory" else "the MACs that are needed"
    unknown = "; what must be moved is not known, as the machine's caches are not" if floor.bits is None else ""
    return f"no schedule of the MACs takes less: {what}{unknown}"


def _trained(report: Report) -> str:
    """That training changes all parameters, of a module that was traced; a line of its own tells how many else."""
    is_traced = any(layer.module for layer in report.layers)
    all_are = report.total.params == FIGURES["trainable"].of(report.total) != 0
    return ", all trainable" if is_traced and all_are else ""


def _too_large(report: Report) -> Iterator[Fact]:
    """Said where the machine has less memory than weights and activations take: together, or where there is flash each
    in its own.
    """
    total, machine = report.total, report.machine
    peak, weights = total.peak_bits, total.weight_bits
    if machine is None or not isinstance(peak, int) or not isinstance(weights, int):
        return
    if machine.flash is not None:
        if weights > 8 * machine.flash:
            yield Fact("too large", size(weights), f"weights; the machine has {size(8 * machine.flash)} of flash")
        if machine.ram is not None and peak > 8 * machine.ram:
            yield Fact("too large", size(peak), f"peak; the machine has {size(8 * machine.ram)} of RAM")
    elif machine.memory is not None and peak + weights > 8 * machine.memory:
        fit = "enough" if peak <= 8 * machine.memory else "too little"
        description = f"weights and peak; the machine has {size(8 * machine.memory)}, {fit} for the activations alone"
        yield Fact("too large", size(peak + weights), description)


def line(report: Report) -> str:
    """The whole in a line: ``<Report resnet50: 4.09 G MACs, 25.6 M params, 176 layers>``."""
    told = []
    for figure in (FIGURES["macs"], FIGURES["params"]):
        value = figure.of(report.total)
        shown = show(figure, value) if isinstance(value, int) else str(value)
        told.append(f"{marked(report, figure.name, shown)} {figure.title}")
    return f"<Report {visible(report.name)}: {', '.join(told)}, {report.total.layers} layers>"


def line_of(row: Layer | Block) -> str:
    """A row in a line: ``<Layer layer1.0.conv1.conv: conv, 64×56×56, 116 M MACs, 36.9 k params>``."""
    what = row.kind if isinstance(row, Layer) else f"{row.layers} layer{'s' * (row.layers != 1)}"
    shapes = ", ".join("×".join(map(str, shape[1:])) or "scalar" for shape in row.output_shapes)
    figures = [FIGURES[name] for name in ("macs", "params")]
    told = [(figure.of(row), figure) for figure in figures]
    amounts = [f"{show(f, value) if isinstance(value, int) else value} {f.title}" for value, f in told]
    said = ", ".join([visible(what), shapes, *amounts])
    return f"<{type(row).__name__} {visible(row.name)}: {said}>"


def headline(report: Report) -> str:
    """The inputs and how the figures were asked for: ``image 1×3×224×224, 16 bits, on a100, after fold_norm``."""
    inputs = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in report.inputs.items())
    asked = report.settings
    how = f", {asked.bits} bits" * (asked.bits is not None) + f", on {asked.machine}" * (asked.machine is not None)
    how += f", energy by {visible(report.energies.name)}" if report.energies else ""
    return f"{inputs}{how}" + f", {after(asked.apply)}" * bool(asked.apply)


def summary(report: Report, width: int, paint: Paint, also: Collection[str] = ()) -> list[str]:
    """The totals in lines of ``width`` characters, as far as numbers allow; then what is not counted."""
    from textwrap import wrap

    known = list(facts(report, also))
    inert = partial(harmless, colours=False)
    wide = max(len(fact.figure) for fact in known if len(fact.figure) <= 28)
    lines = []
    for name, figure, description in known:
        indent = 11 + max(wide, len(figure)) + 2
        first, *more = wrap(inert(description), max(width - indent, 24))
        lines.append(f"{paint(name.ljust(9), 'bold')}  {figure.rjust(wide)}  {paint(first, 'dim')}")
        lines += [" " * indent + paint(line, "dim") for line in more]
    if report.uncounted:
        lines += wrap(inert(not_counted(report)), max(width, 40))
    for line in (*sizes(report), *report.notes):
        lines += wrap(inert(line), max(width, 40))
    return lines + [f"assuming {inert(condition)}" for condition in report.assumptions]
