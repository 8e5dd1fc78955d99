"""Makes sklearn.txt with scikit-learn and SciPy (Debian: python3-sklearn), as an oracle independent of our code:
  /usr/bin/python3 make_fixtures.py > sklearn.txt
Each line is a name and numbers."""

import numpy as np
from scipy import optimize, stats
from sklearn import calibration, metrics


def put(name, values):
    print(name, *(repr(float(v)) for v in np.ravel(values)))


rng = np.random.default_rng(7)
n = 80
y = (rng.random(n) < 0.35).astype(int)
s = np.clip(np.round(0.35 * y + 0.65 * rng.random(n), 2), 0, 1)
put("binary.positive", y)
put("binary.scores", s)
fpr, tpr, thresholds = metrics.roc_curve(y, s, drop_intermediate=False)
put("binary.auc", metrics.roc_auc_score(y, s))
put("binary.youden", np.max(tpr - fpr))
fpr, tpr, _ = metrics.roc_curve(y, s, drop_intermediate=True)
put("binary.fpr", fpr)
put("binary.tpr", tpr)
put("binary.balanced_accuracy_at_half", metrics.balanced_accuracy_score(y, s >= 0.5))

distinct = rng.permutation(n) / n
outcome = (rng.random(n) < distinct).astype(int)
observed, predicted = calibration.calibration_curve(outcome, distinct, n_bins=8, strategy="quantile")
put("calibration.probability", distinct)
put("calibration.outcome", outcome)
put("calibration.observed", observed)
put("calibration.predicted", predicted)

classes = 4
label = rng.integers(0, classes, n)
logits = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[label]
p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
p = np.round(p * 64) / 64 + 2.0**-20  # exact in float32, with ties
p32 = p / 1.0
put("multi.label", label)
put("multi.probability", p32)
one_vs_rest = [metrics.roc_auc_score(label == c, p32[:, c]) for c in range(classes)]
put("multi.macro_auc", np.mean(one_vs_rest))
predicted_class = p32.argmax(axis=1)
put("multi.confusion", metrics.confusion_matrix(label, predicted_class, labels=range(classes)))
put("multi.kappa", metrics.cohen_kappa_score(label, predicted_class, weights="quadratic"))
put("multi.balanced_accuracy", metrics.balanced_accuracy_score(label, predicted_class))

for hits, trials in [(81, 263), (15, 148), (0, 20), (1, 29), (29, 29), (3, 7)]:
    interval = stats.binomtest(hits, trials).proportion_ci(0.95, method="wilson")
    put("wilson", [hits, trials, interval.low, interval.high])

z = stats.norm.ppf(0.975)
for auc, m, k in [(1.0, 10, 10), (1.0, 40, 8), (0.0, 5, 30), (0.9, 12, 20), (0.5, 1, 1)]:
    spare = (m + k) / 2 - 1

    def excess(t):
        variance = t * (1 - t) * (1 + spare * (1 - t) / (2 - t) + spare * t / (1 + t)) / (m * k)
        return (auc - t) ** 2 - z * z * variance

    low = 0.0 if auc == 0 else optimize.brentq(excess, 0, auc - 1e-9, xtol=1e-14)
    high = 1.0 if auc == 1 else optimize.brentq(excess, auc + 1e-9, 1, xtol=1e-14)
    put("newcombe", [auc, m, k, low, high])
