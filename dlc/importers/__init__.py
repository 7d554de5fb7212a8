"""ONNX models as IR. Takes files of any origin: nothing in them is trusted."""
