"""Reference numbers for @auxseg/metrics from scikit-learn and PySODMetrics.

    pip install numpy scikit-learn pysodmetrics
    python3 tools/reference/metrics/make_fixtures.py

Writes packages/metrics/src/fixtures/metrics.json.
"""

import json
from pathlib import Path

import numpy as np
import py_sod_metrics
from sklearn.metrics import average_precision_score, confusion_matrix, jaccard_score

OUT = Path(__file__).resolve().parents[3] / "packages/metrics/src/fixtures/metrics.json"
rng = np.random.default_rng(20240607)


def segmentation():
    classes, height, width = 6, 23, 31
    truth = rng.integers(0, 5, (height, width))  # class 5 is absent from the truth
    prediction = np.where(rng.random((height, width)) < 0.6, truth, rng.integers(0, 4, (height, width)))
    truth[rng.random((height, width)) < 0.1] = 255
    keep = truth != 255
    labels = list(range(classes))
    iou = jaccard_score(truth[keep], prediction[keep], labels=labels, average=None, zero_division=0)
    return {
        "numClasses": classes,
        "prediction": prediction.ravel().tolist(),
        "truth": truth.ravel().tolist(),
        "counts": confusion_matrix(truth[keep], prediction[keep], labels=labels).ravel().tolist(),
        "perClassIoU": [v if c in truth[keep] or c in prediction[keep] else None for c, v in enumerate(iou.tolist())],
    }


def ranking():
    images, classes = 60, 4
    labels = (rng.random((images, classes)) < 0.3).astype(int)
    labels[:, 3] = 0
    # One decimal makes many ties.
    scores = np.round(rng.normal(size=(images, classes)) + labels, 1)
    return {
        "scores": scores.tolist(),
        "labels": labels.tolist(),
        "perClass": [
            float(average_precision_score(labels[:, c], scores[:, c])) if labels[:, c].any() else None
            for c in range(classes)
        ],
    }


def saliency():
    cases = []
    f_curves = []
    for height, width, kind in [(21, 33, "blob"), (40, 17, "noise"), (9, 8, "corner"), (16, 16, "all"), (13, 19, "none")]:
        ys, xs = np.mgrid[:height, :width]
        if kind == "corner":
            truth = (ys < 3) & (xs >= width - 2)
        elif kind == "all":
            truth = np.ones((height, width), bool)
        elif kind == "none":
            truth = np.zeros((height, width), bool)
        else:
            truth = (ys - height * 0.4) ** 2 / (height * 0.3) ** 2 + (xs - width * 0.6) ** 2 / (width * 0.25) ** 2 < 1
        noise = rng.random((height, width))
        soft = np.clip(0.65 * truth + 0.5 * noise, 0, 1) if kind != "noise" else noise
        # PySODMetrics stretches each map to 0..255: give it maps that already span it.
        prediction = np.round(soft * 255).astype(np.uint8)
        prediction[0, 0], prediction[-1, -1] = 0, 255
        mask = truth.astype(np.uint8) * 255
        mae, sm, fm = py_sod_metrics.MAE(), py_sod_metrics.Smeasure(), py_sod_metrics.Fmeasure()
        for measure in (mae, sm, fm):
            measure.step(pred=prediction, gt=mask)
        curve = fm.get_results()["fm"]["curve"]
        f_curves.append(curve)
        cases.append({
            "kind": kind, "width": width, "height": height,
            "prediction": prediction.ravel().tolist(), "truth": truth.astype(int).ravel().tolist(),
            "mae": float(mae.get_results()["mae"]), "sMeasure": float(sm.get_results()["sm"]),
            "maxF": float(np.max(curve)),
        })
    return {"cases": cases, "maxF": float(np.max(np.mean(f_curves, axis=0)))}


OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps({"segmentation": segmentation(), "ranking": ranking(), "saliency": saliency()}))
print(OUT.name, OUT.stat().st_size, "bytes")
