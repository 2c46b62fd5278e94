"""ONNX files: read without their weights, by a reader of our own, and turned into graphs by our own shape rules."""
