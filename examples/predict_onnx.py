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
fits = {"crop": ImageOps.fit, "squash": Image.Image.resize}
fits["pad"] = lambda *args: ImageOps.pad(*args, color="#808080", centering=(0.499, 0.499))  # an odd pixel goes below
for path in pictures:
    picture = Image.open(path)
    picture.draft(None, (2 * side, 2 * side))  # a large JPEG is shrunk while it is decoded, as in training
    picture = ImageOps.exif_transpose(picture).convert("RGB")
    square = fits[about["fit"]](picture, (side, side), Image.Resampling.LANCZOS)
    pixels = np.asarray(square if channels == 3 else square.convert("L")).reshape(1, side, side, channels)
    (probabilities,), *distance = session.run(None, {"images": pixels})
    if distance and distance[0][0] > float(about["distance_threshold"]):
        print(f"{path}: unlike the training pictures")
    for at in np.argsort(-probabilities, kind="stable")[:5]:
        print(f"{path}: {names[at]} {100 * probabilities[at]:.1f} %")
