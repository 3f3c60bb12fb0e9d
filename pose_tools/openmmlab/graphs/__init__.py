"""Trained networks as graphs for other runtimes: what of an export needs torch.

``models`` holds the graphs, ``suppression`` NMS for those that stay with torch, ``trace`` writes ONNX and TorchScript.
"""
