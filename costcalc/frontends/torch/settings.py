"""Settings of torch that a forward may change, for the whole process or its thread, and that are put back after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import torch

from costcalc.frontends.torch.exclusive import undone

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]
"""How a setting is read and set."""
UNREADABLE = object()


def _of(owner: Any, *names: str) -> list[Setting]:
    """Those attributes of a part of torch that this torch has."""
    return [(partial(getattr, owner, name), partial(setattr, owner, name)) for name in names if hasattr(owner, name)]


def _autocast_type(device: str) -> Setting:
    return partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)


def _default_device() -> Any:
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return context and context.device


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


_BACKENDS = torch.backends
_INVARIANTS: Any = torch.sparse.check_sparse_tensor_invariants
SETTINGS: tuple[Setting, ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (_default_device, torch.set_default_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    *_of(torch.utils.deterministic, "fill_uninitialized_memory"),
    (_anomaly, lambda both: torch.set_anomaly_enabled(*both)),
    (torch.is_warn_always_enabled, torch.set_warn_always),
    (torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    *map(_autocast_type, ("cpu", "cuda")),
    (torch._C._is_multithreading_enabled, torch._C._set_multithreading_enabled),
    (_INVARIANTS.is_enabled, lambda on: (_INVARIANTS.enable if on else _INVARIANTS.disable)()),
    *_of(_BACKENDS.quantized, "engine"),
    (_BACKENDS.mha.get_fastpath_enabled, _BACKENDS.mha.set_fastpath_enabled),
    (_BACKENDS.cuda.flash_sdp_enabled, _BACKENDS.cuda.enable_flash_sdp),
    (_BACKENDS.cuda.mem_efficient_sdp_enabled, _BACKENDS.cuda.enable_mem_efficient_sdp),
    (_BACKENDS.cuda.math_sdp_enabled, _BACKENDS.cuda.enable_math_sdp),
    (_BACKENDS.cuda.cudnn_sdp_enabled, _BACKENDS.cuda.enable_cudnn_sdp),
    *_of(_BACKENDS.cudnn, "enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32"),
    *_of(_BACKENDS.mkldnn, "enabled", "deterministic"),
    *_of(_BACKENDS.opt_einsum, "enabled", "strategy"),
    *_of(_BACKENDS.cuda.matmul, "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"),
    *_of(_BACKENDS.cuda.matmul, "allow_fp16_accumulation", "allow_tf32"),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    # Newer names of the same, last: what was set by these cannot always be read by the older ones.
    *_of(_BACKENDS, "fp32_precision"),
    *(
        setting
        for part in ("cudnn", "mkldnn")
        for path in ("", "conv", "rnn", "matmul")
        for setting in _of(getattr(getattr(_BACKENDS, part), path, None) if path else getattr(_BACKENDS, part),
                           "fp32_precision")
    ),
    *_of(_BACKENDS.cuda.matmul, "fp32_precision"),
)  # fmt: skip
"""In the order in which they are put back."""


@contextmanager
def settings_kept() -> Iterator[None]:
    """While open, settings of torch may be changed; those that were are put back."""
    before = list(map(_read, SETTINGS))

    def put_back() -> None:
        for setting, value in zip(SETTINGS, before, strict=True):
            if value is not UNREADABLE and _read(setting) != value:
                setting[1](value)

    with undone(put_back):
        yield


def _read(setting: Setting) -> Any:
    with suppress(RuntimeError):
        return setting[0]()
    return UNREADABLE
