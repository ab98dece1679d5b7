"""Writes MobileNetV2's ImageNet weights from Keras as the preset `mobilenet` reads them: batch norm folded into the convolutions.

pip install tensorflow safetensors
python3 mobilenet_v2.py mobilenet_v2_1.0_224_imagenet.safetensors
"""

import sys

import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

model = tf.keras.applications.MobileNetV2(weights="imagenet", include_top=False)
tensors = {}
for layer in model.layers:
    if not isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.DepthwiseConv2D)):
        continue
    norm = model.get_layer({"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}.get(layer.name, layer.name + "_BN"))
    gamma, beta, mean, variance = norm.get_weights()
    scale = gamma / np.sqrt(variance + norm.epsilon)
    depthwise = isinstance(layer, tf.keras.layers.DepthwiseConv2D)
    # Output channels are the last axis of a kernel, of a depthwise one the third of four.
    kernel = layer.get_weights()[0] * (scale[:, None] if depthwise else scale)
    tensors[f"{layer.name}/{'depthwise_kernel' if depthwise else 'kernel'}"] = kernel.astype(np.float32)
    tensors[f"{layer.name}/bias"] = (beta - mean * scale).astype(np.float32)
save_file(tensors, sys.argv[1])
print(f"{len(tensors)} tensors: {sys.argv[1]}")
