"""How an op runs where PyTorch takes products in a narrower type."""

from __future__ import annotations

from costcalc.classes import NamedTuple


class UnderAutocast(NamedTuple):
    """What of an op follows from ``torch.autocast`` on the CPU and is not said by its operators, ``Op.aten``.

    takes           to what its inputs are cast, "narrower" or "float32", where PyTorch has no operator of its own
    by_option       for words of its options the operator that stands behind each, without its rank
    widens          it adds or multiplies by its weights, so that what it makes is as wide as these
    keeps_wide      it takes a narrower map with wider weights, and what it keeps besides is as wide as these
    rereads_weight  the backward pass reads its weight also where no gradient by the input is wanted
    is_known        False where its own code casts within, so that what it keeps is not known
    """

    takes: str = ""
    by_option: tuple[tuple[str, str], ...] = ()
    widens: bool = False
    keeps_wide: bool = False
    rereads_weight: bool = False
    is_known: bool = True
