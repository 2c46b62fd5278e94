"""Small ``nn.Module``s around functions, for the ops that PyTorch has no module for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def functional(function: Callable[..., Any], **tensors: nn.Parameter | Tensor) -> nn.Module:
    """A module that calls ``function`` with its inputs, then with its own tensors by their names.

    A tensor given as ``nn.Parameter`` is a parameter of the module, any other a buffer.
    """
    return _module_class()(function, tensors)


@cache
def _module_class() -> type[nn.Module]:
    # Defined on use: a class statement needs its base, and the base needs torch.
    from torch import nn

    class Functional(nn.Module):
        def __init__(self, function: Callable[..., Any], tensors: dict[str, nn.Parameter | Tensor]) -> None:
            super().__init__()
            self.function = function
            self.tensors = tuple(tensors)
            for name, tensor in tensors.items():
                if isinstance(tensor, nn.Parameter):
                    self.register_parameter(name, tensor)
                else:
                    self.register_buffer(name, tensor)

        def forward(self, *inputs: Any) -> Any:
            return self.function(*inputs, **{name: getattr(self, name) for name in self.tensors})

        def extra_repr(self) -> str:
            return getattr(self.function, "__name__", repr(self.function))

    return Functional
