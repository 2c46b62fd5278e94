"""A ``Graph`` → the text of a spec that makes it again: flat, every layer named, every input named."""

from __future__ import annotations

import json
import re

from costcalc.errors import SpecError
from costcalc.frontends.spec.scopes import is_name
from costcalc.frontends.spec.values import symbols_in
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import TensorType

_PLAIN = re.compile(r"[A-Za-z0-9_][\w.-]*(\([\w.= ]*\))?", re.ASCII)
_LONGEST_KEY = 1000  # YAML wants a question mark before a longer one


def write(graph: Graph) -> str:
    """The spec of ``graph``, which loads to an equal one; ``SpecError`` if it has symbols, which a spec cannot hold."""
    symbols = {s for t in graph.types.values() for s in symbols_in(t.shape)}
    if symbols:
        raise SpecError(
            f"the sizes depend on {', '.join(sorted(symbols))}; only a model with numbers can be written out"
        )
    if not graph.nodes:
        raise SpecError(f"{graph.name} does nothing that counts, and a spec has at least one layer")
    lines = [f"name: {_quoted(graph.name)}"]
    if graph.source:
        lines.append(f"source: {_quoted(graph.source)}")
    lines += [
        "inputs:",
        *(f"  {_quoted(name)}: {_input(graph.types[name], graph.layouts.get(name, ''))}" for name in graph.inputs),
    ]
    owners: dict[str, str] = {}
    lines += ["layers:", *(_layer(graph, node, owners) for node in graph.nodes)]
    lines.append(f"outputs: {_list(graph.outputs)}")
    return "\n".join(lines) + "\n"


def _layer(graph: Graph, node: Node, owners: dict[str, str]) -> str:
    if not is_name(node.name):
        raise SpecError(
            f"no spec can have a layer called '{node.name[:80]}'; names have letters, digits, '_', '-' and '.'"
        )
    call = repr(node.op).removesuffix("()")
    weights = _weights(graph, node, owners)
    more = [weights] if weights else []
    more += [f"prepared={dict(node.prepared)!r}"] if node.prepared else []
    more += [f"stored_as={dict(node.stored_as)!r}"] if node.stored_as else []
    more += _frozen(graph, node, owners)
    for option in more:
        call = f"{call[:-1]}, {option})" if call.endswith(")") else f"{call}({option})"
    name, key, inputs = _quoted(node.name), _quoted(call), _list(node.inputs)
    if len(key) > _LONGEST_KEY:
        return f"  - {name}:\n      ? {key}\n      : {inputs}"
    return f"  - {name}: {{{key}: {inputs}}}"


def _weights(graph: Graph, node: Node, owners: dict[str, str]) -> str:
    """The option that says whose weights a layer uses.

    ``owners`` gathers each tensor's first user: a tensor may be called otherwise in the model that was traced.
    """
    shared: dict[str, str] = {}
    own = node.stored(node.op.weights(*graph.input_types(node)))
    for local in own:
        there = owners.setdefault(node.weight(local), f"{node.name}.{local}")
        if there != f"{node.name}.{local}":
            shared[local] = there
    if not shared:
        return ""
    layers = {there.rpartition(".")[0] for there in shared.values()}
    if len(layers) == 1 and shared == {w: f"{next(iter(layers))}.{w}" for w in own}:
        return f"weights={next(iter(layers))!r}"
    return f"weights={shared!r}"


def _frozen(graph: Graph, node: Node, owners: dict[str, str]) -> list[str]:
    """The option that says which weights training leaves as they are; shared ones follow the layer that they are of."""
    own = node.op.weights(*graph.input_types(node)) if node.frozen else {}
    trained = [local for local, weight in own.items() if weight.trained and local not in node.prepared]
    named = [w for w in trained if w in node.frozen and owners[node.weight(w)] == f"{node.name}.{w}"]
    if not named:
        return []
    return ["frozen=True"] if named == trained else [f"frozen={named!r}"]


def _input(type_: TensorType, layout: str) -> str:
    """The shape without a batch of one; any other shape whole."""
    batch = bool(type_.shape) and type_.shape[0] == 1
    shape = f"[{', '.join(map(str, type_.shape[1:] if batch else type_.shape))}]"
    extra = [] if type_.dtype == "float32" else [f"dtype: {type_.dtype}"]
    extra += [] if batch else ["batch: False"]
    extra += [f"layout: {layout}"] if layout else []
    return f"{{{', '.join([f'shape: {shape}', *extra])}}}" if extra else shape


def _list(names: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(name) for name in names)}]"


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
