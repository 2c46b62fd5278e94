"""Where Model Explorer looks for an extension of this name: ``model-explorer net.onnx --extensions=costcalc``."""

from costcalc.integrations.model_explorer import CostcalcAdapter, CostcalcProvider

__all__ = ["CostcalcAdapter", "CostcalcProvider"]
