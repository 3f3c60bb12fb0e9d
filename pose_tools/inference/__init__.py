"""Running trained models. torch, onnxruntime and openvino are imported inside functions."""
