"""The layers written so far, and how one more is added: within bounds, perhaps with the weights of another."""

from __future__ import annotations

from collections.abc import Mapping

from costcalc.errors import CostcalcError, Location, SpecError, near
from costcalc.frontends.spec.scopes import Names, outward
from costcalc.frontends.spec.values import Value, admit, shown
from costcalc.ir.graph import GraphBuilder, Node
from costcalc.ir.memo import Memo
from costcalc.ir.op import Op
from costcalc.ir.tensor import ELEMENT_BITS, TensorType, Weight

MAX_LAYERS = 100_000


class End:
    """The layer or scope ``name`` is the last that a backbone contributes; ``seen`` once it has been begun."""

    __slots__ = ("name", "seen")

    def __init__(self, name: str) -> None:
        self.name, self.seen = name, False


class Reached(Exception):
    """The layer at which a backbone ends has been made."""

    def __init__(self, end: End) -> None:
        super().__init__()
        self.end = end


class Layers:
    """A graph that grows layer by layer.

    shared   (prefix, source): layers under ``prefix`` use the weights of their namesakes under ``source``
    frozen   whether training leaves the weights of layers as they are that say nothing of it
    ends     where backbones stop; ``Reached`` is raised at the first layer after one
    """

    def __init__(self, name: str, inputs: Mapping[str, TensorType]) -> None:
        self.builder = GraphBuilder(name, inputs)
        self.names = Names()
        self.shared: tuple[str, str] | None = None
        self.frozen = False
        self._frozen: set[str] = set()
        self.ends: list[End] = []
        self._nodes: dict[str, Node] = {}
        self._ops = Memo("ops as specs write them")
        self._admitted: set[TensorType] = set()
        for value in inputs:
            self.names.claim(value, Location(""))
            self.names.define(value, (value,))

    def claim(self, name: str, location: Location) -> None:
        """Take ``name`` for a layer or a scope about to be made."""
        for end in self.ends:
            if name == end.name or name.startswith(end.name + "."):
                end.seen = True
            elif end.seen:
                raise Reached(end)
        self.names.claim(name, location)

    def stop_after(self, name: str) -> End:
        """Raise ``Reached`` when the first layer after those of ``name`` is claimed."""
        self.ends.append(End(name))
        return self.ends[-1]

    def type_of(self, value: str) -> TensorType:
        """The type of a value."""
        return self.builder.types[value]

    def make(self, op: type[Op], args: tuple[Value, ...], kwargs: Mapping[str, Value], location: Location) -> Op:
        """The op with these options; ``OptionError``, placed, if it does not have them."""
        # 1, 1.0 and True are equal, yet an option may take only one of them.
        key = (op, args, *kwargs.items(), *map(type, args), *map(type, kwargs.values()))
        made: Op | None = self._ops.get(key)
        if made is None:
            try:
                self._ops.put(key, made := op(*args, **kwargs))
            except CostcalcError as error:
                raise error.at(location) from None
        return made

    def add(
        self,
        name: str,
        op: Op,
        inputs: list[str],
        weights: Value,
        prepared: Value,
        prefix: str,
        location: Location,
        stored_as: Value = None,
        frozen: Value = None,
    ) -> tuple[str, ...]:
        """Append a layer whose name is claimed; the values that it makes.

        ``weights`` says whose weights it uses: None for its own, the name of a layer as seen from the scope
        ``prefix``, or pairs of its own tensor and another layer's. ``prepared`` has pairs of its own tensor and the
        value that it takes for it, ``stored_as`` of it and the element type in which it is stored. ``frozen`` says of
        all its tensors whether training leaves them as they are, or has the names of those.
        """
        builder = self.builder
        if len(builder.nodes) >= MAX_LAYERS:
            raise SpecError(f"the model has more than {MAX_LAYERS:,} layers", location)
        values = None if prepared is None else self._values(name, prepared, prefix, location)
        outputs = builder.add(name, op, inputs, location=location, prepared=values)
        if stored_as is not None:
            builder.nodes[-1] = self._stored(builder.nodes[-1], stored_as)
        for value in outputs:
            if (made := builder.types[value]) not in self._admitted:
                for size in made.shape:
                    admit(size)
                self._admitted.add(made)
        node = builder.nodes[-1]
        if weights is not None or self.shared is not None:
            node = builder.nodes[-1] = node._replace(called=self._shared(node, weights, prefix))
        if frozen is not None or self.frozen or (node.called and self._frozen):
            node = builder.nodes[-1] = node._replace(frozen=self._left(node, frozen))
            self._frozen.update(map(node.weight, node.frozen))
        self._nodes[name] = node
        return outputs

    def put(self, node: Node, types: tuple[TensorType, ...]) -> None:
        """Append ``node``, one like which was added before."""
        self.builder.put(node, types)
        self._nodes[node.name] = node

    def last_of(self, name: str) -> str:
        """The last value made by the layer or scope ``name``, whose full name it is."""
        return self.names.find(name, "") or self._nodes[name].outputs[0]

    def _values(self, name: str, prepared: Value, prefix: str, location: Location) -> dict[str, str]:
        """The values that a layer takes for its weights, by the op's names for these."""
        pairs = prepared if isinstance(prepared, tuple) else ()
        if not pairs or not all(
            isinstance(p, tuple) and len(p) == 2 and all(isinstance(v, str) for v in p) for p in pairs
        ):
            said = "prepared takes weights and the values that stand for them, like {'weight': 'kernel'}"
            raise SpecError(f"{name}: {said}, not {shown(prepared)}", location)
        found = {}
        for local, value in pairs:
            full = self.names.find(value, prefix)
            if full is None:
                raise SpecError(f"{name}: no value is called '{value[:80]}'{self.names.hint(value, prefix)}", location)
            found[local] = full
        return found

    def _stored(self, node: Node, stored_as: Value) -> Node:
        """``node`` with the element types in which its weights are stored."""
        pairs = stored_as if isinstance(stored_as, tuple) else ()
        ours = self._weights(node)
        for pair in pairs:
            own, dtype = pair if isinstance(pair, tuple) and len(pair) == 2 else (pair, None)
            if own not in ours:
                has = ", ".join(ours) or "none"
                raise SpecError(f"{node.name} has no weight {shown(own)} to store; it has {has}", node.location)
            if dtype not in ELEMENT_BITS:
                known = ", ".join(ELEMENT_BITS)
                raise SpecError(f"{node.name}: {shown(dtype)} is not an element type; there are {known}", node.location)
        if not pairs:
            said = "stored_as takes weights and element types, like {'bias': 'int32'}"
            raise SpecError(f"{node.name}: {said}, not {shown(stored_as)}", node.location)
        return node._replace(stored_as=dict(pairs))

    def _left(self, node: Node, frozen: Value) -> frozenset[str]:
        """Which of its weights training leaves as they are; shared ones are as where they come from."""
        ours = [w for w, weight in self._weights(node).items() if weight.trained and w not in node.prepared]
        asked = [frozen] if isinstance(frozen, str) else frozen
        if isinstance(asked, (tuple, list)):
            wrong = next((w for w in asked if w not in ours), None)
            if wrong is not None:
                has = ", ".join(ours) or "none"
                raise SpecError(f"{node.name} has no weight {shown(wrong)} to freeze; it has {has}", node.location)
            chosen = {*asked}
        elif asked is None or isinstance(asked, bool):
            if asked and not ours:
                raise SpecError(f"{node.name} has no weights to freeze", node.location)
            chosen = {*ours} if (self.frozen if asked is None else asked) else set()
        else:
            said = "frozen takes True, False or names of weights, like ['weight']"
            raise SpecError(f"{node.name}: {said}, not {shown(frozen)}", node.location)
        for local, source in node.called.items():
            if source in self._frozen:
                chosen.add(local)
            elif local in chosen:
                said = f"{node.name} shares its {local} with {source}, which is trained; say frozen there"
                raise SpecError(said, node.location)
        return frozenset(chosen)

    # -- weights -----------------------------------------------------------------------------

    def source(self, path: Value, prefix: str) -> str:
        """The full name of the layer or scope whose weights are shared."""
        if isinstance(path, str):
            for full in outward(path, prefix):
                if full in self.names.taken and full not in self.builder.inputs:
                    return full
        known = [n for n in self.names.taken if n not in self.builder.inputs]
        hint = near(path, known[-2000:]) if isinstance(path, str) else ""
        raise SpecError(f"weights={shown(path)} is not the name of an earlier layer{hint}")

    def _shared(self, node: Node, weights: Value, prefix: str) -> dict[str, str]:
        ours = self._weights(node)
        if isinstance(weights, tuple):
            return dict(self._one(node, ours, pair, prefix) for pair in weights)
        if weights is not None:
            theirs = self._nodes.get(self.source(weights, prefix))
            if theirs is None:
                raise SpecError(f"weights={shown(weights)} names no single layer; {node.name} is one")
        elif self.shared is not None and node.name.startswith(self.shared[0]):
            name = self.shared[1] + node.name[len(self.shared[0]) :]
            theirs = self._nodes.get(name)
            if theirs is None and ours:
                raise SpecError(f"{node.name} shares the weights of '{name}', but there is no such layer")
        else:
            return {}
        if theirs is None:
            return {}
        return {w: self._root(node, w, ours[w], theirs, w) for w in ours if w not in node.prepared}

    def _one(self, node: Node, ours: dict[str, Weight], pair: Value, prefix: str) -> tuple[str, str]:
        own, path = pair if isinstance(pair, tuple) and len(pair) == 2 else (pair, None)
        if own not in ours:
            raise SpecError(f"{node.name} has no weight {shown(own)}; it has {', '.join(ours) or 'none'}")
        layer, _, weight = path.rpartition(".") if isinstance(path, str) else ("", "", "")
        theirs = self._nodes.get(self.source(layer, prefix)) if layer else None
        if theirs is None:
            raise SpecError(f"weights: {shown(path)} is not a layer and its weight, like 'embed.weight'")
        return own, self._root(node, own, ours[own], theirs, weight)

    def _root(self, node: Node, own: str, weight: Weight, theirs: Node, name: str) -> str:
        """Where the tensor that ``name`` is in ``theirs`` belongs, after a check that it fits."""
        known = self._weights(theirs)
        if name not in known:
            raise SpecError(f"{theirs.name} has no weight '{name[:80]}' to share; it has {', '.join(known) or 'none'}")
        if known[name].type != weight.type:
            raise SpecError(
                f"{node.name} needs {own} of {weight.type}, but that of {theirs.name} is {known[name].type}"
            )
        return theirs.weight(name)

    def _weights(self, node: Node) -> dict[str, Weight]:
        return node.op.weights(*(self.builder.types[v] for v in node.inputs))
