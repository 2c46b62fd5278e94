"""A model that a name on the command line means: how it is built, and what it is run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple
from costcalc.errors import Choice, CostcalcError

if TYPE_CHECKING:
    from torch import nn

    from costcalc.frontends.sources import Shapes
    from costcalc.frontends.torch.hugging_face_sizes import TextSizes
    from costcalc.frontends.torch.sizes import ProgramSizes
    from costcalc.ir.graph import Graph


class NamedModel(NamedTuple):
    """A model, how to build it again with values in its weights, and what it is run on.

    inputs     for a batch of so many images of this shape (None for the model's own)
    sizes      of an exported program, what says which inputs it takes
    named      instead of ``inputs``: for a batch and shapes, those given one after another and those given by name
    notes      what was taken for granted of it, as sentences
    finished   what makes the graph of what was traced, where that is a part of it
    texts      of a model of transformers, what says which sizes of its inputs closed forms may leave open
    """

    model: nn.Module
    again: Callable[[], nn.Module] | None
    inputs: Callable[[int, tuple[int, ...] | None], Sequence[Any]]
    sizes: ProgramSizes | None = None
    named: Callable[[int, Shapes], tuple[Sequence[Any], Mapping[str, Any]]] | None = None
    notes: tuple[str, ...] = ()
    texts: TextSizes | None = None
    finished: Callable[[Graph], Graph] | None = None


def by_default(model: nn.Module) -> Callable[[int, tuple[int, ...] | None], Sequence[Any]]:
    """Inputs of the shape that is asked for, or that the model's configuration names."""

    def inputs(batch: int, shape: tuple[int, ...] | None) -> Sequence[Any]:
        from costcalc.frontends.torch.failures import ModelError
        from costcalc.frontends.torch.inputs import default_size

        size = shape or default_size(model)
        if size is None:
            choice = Choice("--input 3x224x224", "at: [{input: 3x224x224}]")
            sentence = f"{type(model).__name__} does not say which input it takes; give {choice.option}, say"
            raise ModelError(sentence, choices=[choice])
        return [(batch, *size)]

    return inputs


def builder(make: Callable[[], Any], name: str) -> tuple[nn.Module, Callable[[], nn.Module]]:
    """What ``make`` makes, without weights; and a function that makes it with them."""
    from torch import nn

    from costcalc.frontends.torch.build import built
    from costcalc.frontends.torch.exclusive import alone
    from costcalc.frontends.torch.failures import ModelError, constructor_failed
    from costcalc.frontends.torch.lines import noting_makers

    def checked(made: Any) -> nn.Module:
        if not isinstance(made, nn.Module):
            raise ModelError(f"{name} returns {type(made).__name__}, not a torch.nn.Module")
        return made.eval()

    def again() -> nn.Module:
        try:
            with alone(), noting_makers():
                return checked(make())
        except CostcalcError:
            raise
        except Exception as error:
            raise constructor_failed(name, error) from error

    try:
        return checked(built(make)), again
    except CostcalcError:
        raise
    except Exception:
        # Perhaps it asks for values that were left out; if not, its own error comes again.
        return again(), again
