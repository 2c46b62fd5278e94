"""A file's nodes, one after the other, as steps of the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError, OptionError
from costcalc.frontends.calls.lower import Lowering
from costcalc.frontends.calls.recorded import Scope
from costcalc.frontends.onnx.folding import Unknown
from costcalc.frontends.onnx.following import Following
from costcalc.frontends.onnx.node_use import FileError, KnownTensor, NodeUse, NoRule, QuantisedTensor, is_number
from costcalc.frontends.onnx.nodes import Env, at, filled, in_order, shown_name, weigh_functions
from costcalc.frontends.onnx.read import MOST_NODES, DeclaredValue, Function, OnnxModel, OnnxNode, OnnxTensor, SubGraph
from costcalc.frontends.onnx.rules import folded, rule_of, why_not
from costcalc.frontends.onnx.scopes import module_path, own_name, shown
from costcalc.frontends.onnx.sizes import expression
from costcalc.frontends.regrouping import Batch
from costcalc.ir.call import Call, Step, Traced
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import ELEMENT_BITS, FLOATING_BITS, TensorType
from costcalc.ir.value_size import ValueSize
from costcalc.ir.values import value_at

MOST_DEEP = 64
"""How deep functions, branches and loops may stand in each other."""
MOST_WEIGHED = 2 * MOST_NODES
"""Nodes that are walked to weigh branches, those inside others as often as they are weighed."""
MOST_SAID = 3
"""Values that a note lists."""


class GraphContext:
    """Where nodes stand that are walked: the path of what they are part of, what is declared there, the opsets."""

    __slots__ = ("declared", "opsets", "path", "readers", "scope")

    def __init__(self, path: str, opsets: Mapping[str, int], declared: Mapping[str, DeclaredValue]) -> None:
        self.path, self.opsets, self.declared = path, opsets, declared
        self.scope: Scope | None = None
        self.readers: dict[str, list[OnnxNode | None]] = {}


class Decided:
    """A size that values decide, and the steps that were made by it: from ``first`` up to ``last``."""

    __slots__ = ("first", "last", "size")

    def __init__(self, size: ValueSize, first: int) -> None:
        self.size, self.first, self.last = size, first, -1


class Build:
    """Walks the nodes of ``model``.

    sizes      what each open size is: a number, or a symbol
    settings   what was said of trip counts and other sizes that values decide
    following  what nodes met at the sizes of the file, if others are asked for than it fixes
    """

    def __init__(
        self, model: OnnxModel, name: str, shapes: Mapping[str, tuple[Dim, ...]], sizes: Mapping[str, Any],
        settings: Mapping[str, int] | None = None, following: Following | None = None,
    ) -> None:  # fmt: skip
        self.model, self.sizes, self.settings = model, sizes, dict(settings or {})
        self.following = following
        self.used: dict[str, int] = {}
        self.decided: list[Decided] = []
        self.kinds: dict[str, int] = {}
        self.notes: dict[str, None] = {}
        self.unlike: dict[str, str] = {}
        self.count = 0
        self.weighed_nodes = 0
        self.depth = 0
        self.operator = ""  # of the main graph, that is being walked
        self.weights: dict[str, Traced] = {}
        self.consumed: set[str] = set()
        self.owners: set[str] = set()
        self.made: list[KnownTensor | QuantisedTensor] = []
        self.absorbed: dict[int, Any] = {}
        self.env = Env()
        graph = model.graph
        given = {t.name for t in graph.tensors}
        inputs: dict[str, Traced] = {}
        for one in graph.inputs:
            if one.name in given:
                continue
            if one.holds or one.shape is None or one.dtype not in ELEMENT_BITS:
                what = one.holds or ("tensor without a shape" if one.shape is None else f"tensor of {one.dtype or '?'}")
                raise FileError(f"the input {one.name[:80]} is a {what}, so that nothing can be counted from it")
            shape = tuple(value_at(d, sizes) for d in shapes[one.name])
            inputs[self._unique(one.name, inputs)] = self.env[one.name] = Traced(TensorType(shape, one.dtype))
        self.lowering = Lowering(name, inputs, self.weights, quantised=True)
        self.whole = self.env
        self.context = GraphContext("", model.opsets, {d.name: d for d in graph.outputs} | graph.declared)

    def graph(self, source: str, parameters: Mapping[str, Any]) -> Graph:
        """The graph of all nodes."""
        graph = self.model.graph
        weigh_functions(self.model)
        self.hold(graph.tensors, self.env)
        with_outputs = [d.name for d in graph.outputs]
        self.run(graph.nodes, self.env, self.context, with_outputs)
        made = []
        for name in with_outputs:
            value = self.value(name, self.env)
            made += [self.ended(v) for v in (value if isinstance(value, list) else [value])]
        if not made:
            raise FileError("it has no outputs")
        for name, weight in list(self.weights.items()):
            if name in self.consumed or is_number(weight) or weight.type.dtype not in FLOATING_BITS:
                del self.weights[name]  # shapes, numbers, tables: no tensors that a layer could have forgotten
        notes = [*self.notes, *self._said_otherwise()]
        marked = [[step for step, _ in self.lowering.steps[one.first : one.last]] for one in self.decided]
        whole = self.lowering.graph(made, parameters, notes, source)
        sizes = [
            one.size._replace(layers=_after(whole, steps)) for one, steps in zip(self.decided, marked, strict=True)
        ]
        return replace(whole, sizes=tuple(sizes))

    # -- values ------------------------------------------------------------------------------------

    def hold(self, tensors: Iterable[OnnxTensor], env: Env) -> None:
        """Make tensors of the file known by their names."""
        for tensor in tensors:
            env[tensor.name] = self.tensor(tensor, tensor.name)

    def tensor(self, tensor: OnnxTensor, name: str) -> Traced:
        """A tensor of the file."""
        if tensor.dtype not in ELEMENT_BITS:
            raise FileError(f"the tensor {name[:80]} holds {tensor.dtype}s")
        kind = TensorType(tensor.shape, tensor.dtype)
        if kind.size == 1 and tensor.numbers is not None and not name:
            return KnownTensor(kind, tensor.numbers)
        called = self._unique(name or "constant", self.weights)
        held = Traced(kind, called, tensor.dtype in FLOATING_BITS)
        held.numbers = tensor.numbers
        self.weights[called] = held
        return held

    def seen(self, name: str) -> Traced | None:
        """The tensor called ``name`` where nodes are walked now, if there is one yet."""
        try:
            found = self.env[name]
        except KeyError:
            return None
        return found if isinstance(found, Traced) else None

    def value(self, name: str, env: Env) -> Any:
        """The value called ``name``."""
        try:
            return env[name]
        except KeyError:
            raise FileError(f"nothing makes '{name[:80]}'") from None

    def ended(self, value: Any) -> Traced:
        """``value`` as a result: made by a layer, if it is a constant, or a tensor of the file in another type."""
        if not isinstance(value, Traced):
            raise FileError("an output of it is not a tensor")
        if not isinstance(value, (KnownTensor, QuantisedTensor)):
            return value
        call = self.lowering.call("constant" if isinstance(value, KnownTensor) else "dequantize", {})
        made = NodeUse(self, _NOTHING, (), call, 0).real(value)
        self.lowering.keep(call, Scope(""))
        return made

    def looked_at(self, value: Traced) -> None:
        """Note that the elements of a tensor were read as numbers."""
        if value.weight and value.type.size != 0:
            self.consumed.add(value.weight)

    def declared(self, name: str) -> TensorType | None:
        """What the file says of a value, if it says all of it."""
        said = self.context.declared.get(name)
        if said is None or said.shape is None or said.dtype not in ELEMENT_BITS:
            return None
        shape = []
        for size in said.shape:
            if isinstance(size, str):
                meant = expression(size)
                if not isinstance(meant, Expr) or not meant.symbols <= self.sizes.keys():
                    return None
                size = value_at(meant, self.sizes)  # type: ignore[assignment]
            if size is None or (isinstance(size, int) and size < 0):
                return None
            shape.append(size)
        return TensorType(tuple(shape), said.dtype)  # type: ignore[arg-type]

    def setting(self, name: str, default: int, kind: str, most: int) -> int:
        """A size that values decide, as the user set it, or by default: for all of its kind or for this one."""
        kind_name = name.partition("_")[0]
        key = name if name in self.settings else kind_name
        found = min(self.settings.get(key, default), most)
        self.used[key if key in self.settings else name] = found
        given = key in self.settings
        self.decides(ValueSize(name, found, most, kind, given, found == most, False, ()))
        return found

    def decides(self, size: ValueSize) -> None:
        """Note a size that values decide; the steps that are made next are decided by it."""
        self.decided.append(Decided(size, self.steps))

    @property
    def batch(self) -> Batch:
        """The batch that is asked for, and that of the file."""
        return self.following.batch if self.following else (1, 1)

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.lowering.steps)

    def setting_name(self, kind: str) -> str:
        """A name for the next size of ``kind``: ``selected``, ``selected_1`` …"""
        number = self.kinds[kind] = self.kinds.get(kind, -1) + 1
        return f"{kind}_{number}" if number else kind

    # -- nodes -------------------------------------------------------------------------------------

    def run(self, nodes: Sequence[OnnxNode], env: Env, context: GraphContext, outputs: Iterable[str]) -> None:
        """Walk ``nodes``, whose values go into ``env``."""
        before, around = self.context, self.env
        self.context, self.env = context, env
        self.depth += 1
        if self.depth > MOST_DEEP:
            raise FileError(f"functions, branches and loops stand more than {MOST_DEEP} deep in each other")
        self.count += len(nodes)
        if self.count > MOST_NODES:
            raise FileError(f"with its functions and loops written out it has more than {MOST_NODES:,} nodes")
        context.readers = {}
        for node in nodes:
            for name in node.inputs:
                context.readers.setdefault(name, []).append(node)
        for name in outputs:
            context.readers.setdefault(name, []).append(None)
        for node in in_order(nodes):
            if self.depth == 1:
                self.operator = node.name  # also of what stands in its functions and graphs
            self._node(node, env)
        self.depth -= 1
        self.context, self.env = before, around

    def _node(self, node: OnnxNode, env: Env) -> None:
        given = tuple(self.value(name, env) if name else None for name in node.inputs)
        made = self.absorbed.pop(id(node), None)
        if made is None:
            try:
                made = self._made(node, given, env)
            except FileError:
                raise
            except CostcalcError as error:
                raise FileError(f"{at(node)}: {error.message}") from error
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
                if any(isinstance(v, Expr) for v in self.sizes.values()):
                    raise OptionError(f"{at(node)} cannot be worked out with sizes that stay symbols") from error
                raise FileError(
                    f"{at(node)} is not as {node.operator} should be: its attributes or inputs do not fit "
                    f"({type(error).__name__}: {str(error)[:80]})"
                ) from error
        for name, value in zip(node.outputs, made, strict=False):
            if name:
                env[name] = value
                self._compare(name, value)
        for name in node.outputs[len(made) :]:
            if name and self.context.readers.get(name):
                raise FileError(f"{at(node)} has no output '{name[:80]}'")

    def _made(self, node: OnnxNode, given: tuple[Any, ...], env: Env) -> tuple[Any, ...]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        call = self.lowering.call(node.operator, node.attributes)
        use = NodeUse(self, node, given, call, self.context.opsets.get(domain, 0))
        function = self.model.functions.get((node.domain, node.operator, node.overload))
        rule = None if function and domain not in ("", "com.microsoft") else rule_of(domain, node.operator)
        if domain == "":
            try:
                found = folded(use)
            except Unknown:
                found = None
            if found is not None:
                return found
        scope, made, decided = self._scope(node), len(self.made), len(self.decided)
        try:
            if rule is not None:
                result = rule(use, env) if getattr(rule, "walks", False) else rule(use)
            elif function is not None:
                return self._called(node, function, given, scope)
            else:
                raise NoRule(why_not(node.operator))
        except (NoRule, Unknown) as reason:
            self._forget(made)
            if function is not None:
                return self._called(node, function, given, scope)
            call.steps.clear()
            if str(reason):
                self.notes[f"{node.operator} is not counted: {reason}"] = None
            try:
                result = use.uncounted(str(reason))
            except FileError as error:
                raise FileError(f"{at(node)}: {error.message}") from None
        self.lowering.keep(call, self._owned(node, call, scope), operator=self.operator)
        for one in self.decided[decided:]:
            one.last = self.steps if one.last < 0 else one.last
        return result if isinstance(result, tuple) else (result,)

    def _owned(self, node: OnnxNode, call: Call, scope: Scope) -> Scope:
        """``scope``, or the module whose weight a node has that stands for another after it.

        PyTorch's exporter puts a convolution that took a norm in where the norm was; the weight keeps its name. One
        that was met before says nothing: it is tied.
        """
        for step in call.steps:
            held = step.weights.get("weight")
            if held is None or not held.weight or held.weight in self.owners:
                continue
            owner, _, own = held.weight.rpartition(".")
            self.owners.add(held.weight)
            if node.scope is not None and own == "weight" and owner and not self.depth > 1 and owner != scope.path:
                return Scope(owner)
        return scope

    def _called(self, node: OnnxNode, function: Function, given: tuple[Any, ...], scope: Scope) -> tuple[Any, ...]:
        """What a function makes, its nodes walked in place of the call."""
        inner = Env()
        for name in function.inputs:
            inner[name] = None
        inner.update(zip(function.inputs, given, strict=False))
        attributes = {**function.defaults, **node.attributes}
        nodes = [filled(n, attributes) for n in function.nodes]
        opsets = function.opsets or self.context.opsets
        self.run(nodes, inner, GraphContext(scope.path, opsets, {}), function.outputs)
        return tuple(self.value(name, inner) for name in function.outputs)

    def body(self, use: NodeUse, graph: SubGraph, given: Sequence[Any], env: Env, part: str) -> list[Any]:
        """What a graph inside a node makes of ``given``."""
        inner = Env(env)
        self.hold(graph.tensors, inner)
        for one, value in zip(graph.inputs, given, strict=False):
            inner[one.name] = value
        around = self._scope(use.node).path or (use.node.operator.lower() if part else "")
        path = ".".join(filter(None, (around, part)))
        names = [d.name for d in graph.outputs]
        declared = {d.name: d for d in graph.outputs} | graph.declared
        self.run(graph.nodes, inner, GraphContext(path, self.context.opsets, declared), names)
        return [self.value(name, inner) for name in names]

    def weighed(self, use: NodeUse, graph: SubGraph, env: Env) -> int:
        """The MACs of a branch, by walking it and leaving no trace."""
        steps, made, count = len(self.lowering.steps), len(self.made), self.count
        kept = dict(self.notes), dict(self.unlike), set(self.consumed), dict(self.kinds), dict(self.used)
        decided = len(self.decided)
        self.body(use, graph, (), env, "")
        macs = 0
        for step, _ in self.lowering.steps[steps:]:
            done = step.op.macs(*(t.type for t in step.inputs), y=step.outputs[0].type)
            macs += done if isinstance(done, int) else 0
        del self.lowering.steps[steps:]
        self._forget(made)
        self.weighed_nodes += self.count - count
        if self.weighed_nodes > MOST_WEIGHED:
            raise FileError(f"to weigh its branches takes more than {MOST_WEIGHED:,} nodes")
        self.count = count
        del self.decided[decided:]
        self.notes, self.unlike, self.consumed, self.kinds, self.used = kept
        return macs

    def _forget(self, made: int) -> None:
        """What was made of constants since there were ``made`` of them is no more."""
        for value in self.made[made:]:
            value.made = None
        del self.made[made:]

    def follower(self, name: str, operator: str) -> OnnxNode | None:
        """The node that alone reads ``name``, if it is an ``operator``."""
        readers = self.context.readers.get(name, ())
        node = readers[0] if len(readers) == 1 else None
        return node if node is not None and node.operator == operator and node.domain in ("", "ai.onnx") else None

    def absorb(self, node: OnnxNode, *made: Any) -> None:
        """Take ``made`` for what ``node`` makes: another rule has done its work."""
        self.absorbed[id(node)] = made

    def _scope(self, node: OnnxNode) -> Scope:
        """The module call that ``node`` was made in; nodes of one that follow each other share it."""
        around = self.context
        path = module_path(node)
        named = path is None
        if path is None:
            path = own_name(node)
        path = ".".join(filter(None, (around.path, path)))
        if around.scope is not None and around.scope.path == path and not (named and path != around.path):
            return around.scope
        around.scope = Scope(path)
        return around.scope

    # -- what the file says otherwise ----------------------------------------------------------------

    def _compare(self, name: str, value: Any) -> None:
        said = self.context.declared.get(name)
        if said is None or said.shape is None or not isinstance(value, Traced):
            return
        if self.following is not None and self.following.follows:
            return
        shape = value.type.shape
        unlike = len(shape) != len(said.shape) or any(
            isinstance(a, int) and isinstance(b, int) and b >= 0 and a != b
            for a, b in zip(shape, said.shape, strict=True)
        )
        if unlike:
            self.unlike[name] = f"{shown(name)[:80]} is {value.type}, not {'×'.join(map(str, said.shape)) or 'scalar'}"

    def _said_otherwise(self) -> list[str]:
        if not self.unlike:
            return []
        some = "; ".join(list(self.unlike.values())[:MOST_SAID])
        more = len(self.unlike) - MOST_SAID
        also = f"; and {more} more" if more > 0 else ""
        return [f"the file's own shapes differ from those that are made: {some}{also}"]

    def _unique(self, name: str, taken: Mapping[str, Any]) -> str:
        made = base = shown_name(name)
        number = 0
        while made in taken:
            number += 1
            made = f"{base}_{number}"
        return made


_NOTHING = OnnxNode("", "", "Constant", "", (), (), {}, None)


def _after(graph: Graph, steps: Sequence[Step]) -> tuple[str, ...]:
    """The layers that ``steps`` became, and those that follow from them."""
    reached = {made.value for step in steps for made in step.outputs if made.value}
    found = []
    for node in graph.nodes:
        if not reached.isdisjoint(node.outputs) or not reached.isdisjoint(node.reads):
            reached.update(node.outputs)
            found.append(node.name)
    return tuple(found)
