"""How the receptive field grows from layer to layer, and where it comes to see the whole image."""

from __future__ import annotations

from costcalc.analysis.pixel_map import GLOBAL, UNKNOWN, ReceptiveField
from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple


class Seen(NamedTuple):
    """What one place of a layer's output sees of the image, an entry an axis.

    at       the layer's position among the report's layers
    size     pixels from the first to the last of its window, of which some may lie outside; of one that is
             ``everything`` the image
    seen     the most pixels of the image in it
    stride   pixels from one place to the next
    everything   whether each place sees all of the image
    bound    whether ``size`` is no more than an upper bound
    """

    at: int
    name: str
    size: tuple[int, ...]
    seen: tuple[int, ...]
    stride: tuple[float, ...]
    everything: bool
    bound: bool


class Growth(NamedTuple):
    """The layers along the image, in the model's order.

    image     pixels of the image, an entry an axis; () where no layer has places of one
    exceeds   the first layer whose window is larger than the image along some axis; "" if of none that is proved
    whole     the first layer of which each place sees all of the image; "" if none does
    unknown   the layers of which it is not known what they see, which are not among ``layers``
    """

    image: tuple[int, ...]
    layers: tuple[Seen, ...]
    exceeds: str
    whole: str
    unknown: tuple[str, ...] = ()

    def is_larger(self, seen: Seen) -> bool:
        """Whether the window of ``seen``, or what bounds it, is larger than the image along some axis."""
        return any(size > edge for size, edge in zip(seen.size, self.image, strict=True))

    @property
    def may_exceed(self) -> Seen | None:
        """Where no window is proved to be larger than the image: the first whose bound is; None if none is."""
        return None if self.exceeds else next((seen for seen in self.layers if self.is_larger(seen)), None)

    @property
    def larger(self) -> Seen | None:
        """The layer that ``exceeds`` names."""
        return next((seen for seen in self.layers if seen.name == self.exceeds), None)


def growth(report: Report) -> Growth:
    """The growth of the receptive field in ``report``. Layers whose field is a formula are left out."""
    fields = [layer.receptive_field for layer in report.layers]
    image = next((f.image for f in fields if isinstance(f, ReceptiveField) and f.image), ())
    if not all(isinstance(n, int) for n in image):
        image = ()
    found: list[Seen] = []
    for i, (layer, field) in enumerate(zip(report.layers, fields, strict=True)):
        if isinstance(field, ReceptiveField) and len(field.image) == len(image):
            if all(isinstance(n, int) for n in (*field.size, *field.seen)):
                stride = tuple(float(step) for step in field.stride)
                found.append(Seen(i, layer.name, field.size, field.seen, stride, False, field.bound))
        elif field == GLOBAL and image:
            found.append(Seen(i, layer.name, image, image, (0.0,) * len(image), True, False))
    grown = Growth(image, tuple(found), "", next((s.name for s in found if s.everything), ""))
    exceeds = next((s.name for s in found if not s.bound and grown.is_larger(s)), "")
    unknown = tuple(layer.name for layer, field in zip(report.layers, fields, strict=True) if field == UNKNOWN)
    return grown._replace(exceeds=exceeds, unknown=unknown)
