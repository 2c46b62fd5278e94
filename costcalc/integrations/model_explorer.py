"""costcalc inside Google's Model Explorer: ``model-explorer net.onnx --extensions=costcalc``.

An adapter draws ONNX files, which it cannot open by itself, ncnn files and specs, with all figures at each layer. A
provider colours the graphs of these, and those of TFLite files that its own adapter has drawn, by a figure.
"""

from __future__ import annotations

from typing import Any

from dacite import from_dict
from model_explorer import Adapter, AdapterMetadata, ModelExplorerGraphs, graph_builder, node_data_builder
from model_explorer.config_editor import DropDownConfigEditor, OptionItem, TextInputConfigEditor
from model_explorer.node_data_provider import (
    GetConfigEditorsResult,
    NodeDataProvider,
    NodeDataProviderFilter,
    NodeDataProviderMetadata,
    NodeDataProviderResult,
)

from costcalc.arguments import check_numbers, energy_of, machine_of
from costcalc.backends.export import Exported
from costcalc.backends.export.model_explorer import collection, figures_of_layers
from costcalc.backends.export.node_data import overlay
from costcalc.errors import CostcalcError
from costcalc.models import load

DRAWN = ["onnx", "param", "yaml", "yml"]
COLOURED = [*DRAWN, "tflite"]
FILES_ONLY = tuple(f".{end}" for end in COLOURED)


class CostcalcAdapter(Adapter):  # type: ignore[misc]
    """Draws a file's layers, coloured by MACs."""

    metadata = AdapterMetadata(
        id="costcalc",
        name="costcalc",
        description="Layers with their MACs, parameters, memory traffic and receptive fields.",
        fileExts=DRAWN,
    )

    def convert(self, model_path: str, settings: dict[str, Any]) -> ModelExplorerGraphs:
        """The graph of the file. Raises ``CostcalcError``, which the page shows."""
        found = collection(_exported(model_path))
        return {"graphs": [from_dict(graph_builder.Graph, graph) for graph in found["graphs"]]}


class CostcalcProvider(NodeDataProvider):  # type: ignore[misc]
    """Colours a graph by a figure, of a machine or by a table of energies where one is given."""

    metadata = NodeDataProviderMetadata(
        id="costcalc_figures",
        name="costcalc",
        description="A figure of each node: MACs, parameters, bytes, time on a machine, energy by a table.",
        icon="calculate",
        filter=NodeDataProviderFilter(modelFileExts=COLOURED),
    )

    def get_config_editors(self, provider_id: str) -> GetConfigEditorsResult:
        """Which figure, with elements of how many bits, on which machine, by which table of energy."""
        figures = [OptionItem(one.name, one.title) for one in figures_of_layers()]
        return GetConfigEditorsResult(
            configEditors=[
                DropDownConfigEditor(id="by", label="figure", defaultValue="macs", options=figures),
                TextInputConfigEditor(id="machine", label="machine", description="for time: a100, or a file"),
                TextInputConfigEditor(id="energy", label="energy", description="for energy: horowitz_45nm, or a file"),
                TextInputConfigEditor(id="bits", label="bits", description="of floating-point elements: 16"),
            ]
        )

    def run(
        self, provider_id: str, model_path: str, graph_id: str, config_values: dict[str, Any], graph: Any
    ) -> NodeDataProviderResult:
        """The figure at the nodes of ``graph``; an error, which the page shows, where it has none of them."""
        try:
            given = {name: config_values.get(name) or None for name in ("by", "machine", "energy", "bits")}
            found = overlay(_exported(model_path, **given))
        except CostcalcError as error:
            return NodeDataProviderResult(error=str(error))
        if graph is not None:
            there = {node.id for node in graph.nodes}
            found["results"] = {key: value for key, value in found["results"].items() if key in there}
            if not found["results"]:
                return NodeDataProviderResult(
                    error="no node of this graph is known by the name that the file has for it"
                )
        return NodeDataProviderResult(result=from_dict(node_data_builder.GraphNodeData, found))


def _exported(path: str, by: Any = None, machine: Any = None, energy: Any = None, bits: Any = None) -> Exported:
    """The model in the file at ``path``, which is no code: how it ends says so."""
    if not path.lower().endswith(FILES_ONLY):
        raise CostcalcError(f"{path[-80:]} is no ONNX, TFLite or ncnn file and no spec")
    try:
        width = int(bits) if bits is not None else None
    except (TypeError, ValueError):
        raise CostcalcError(f"bits are a whole number, not {str(bits)[:20]}") from None
    check_numbers(width, None)
    return Exported(load(path), bits=width, machine=machine_of(machine), energy=energy_of(energy), by=by)
