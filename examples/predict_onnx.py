"""Name what is in pictures with onnxruntime, NumPy and Pillow alone: python predict_onnx.py model.onnx cat.jpg …"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model, *pictures = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
side, channels, names = int(about["side"]), int(about["channels"]), json.loads(about["class_names"])
fit = {"crop": ImageOps.fit, "squash": Image.Image.resize}[about["fit"]]
for path in pictures:
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    square = fit(picture, (side, side), Image.Resampling.LANCZOS)
    pixels = np.asarray(square if channels == 3 else square.convert("L")).reshape(1, side, side, channels)
    (probabilities,) = session.run(None, {"images": pixels})[0]
    for at in np.argsort(-probabilities, kind="stable")[:5]:
        print(f"{path}: {names[at]} {100 * probabilities[at]:.1f} %")
