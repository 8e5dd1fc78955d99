#!/usr/bin/env python3
"""Rows for docs/results.md from finished studies: bench/results_table.py "IMAGES | NETWORK=RUN"...

Reads each run's metrics.json and prints three Markdown tables: AUC by arm, differences with the verdict, and AUC repeat by
repeat (the mean over folds, where there are any)."""
import collections
import json
import os
import statistics
import sys

ARMS = ("pooled", "federated", "alone")


def number(value):
    return f"{round(value, 3) + 0.0:.3f}"  # no -0.000


def interval(value):
    return f"{number(value['value'])} ({number(value['low'])} to {number(value['high'])})"


def by_repeat(metrics, arm):
    """Test AUC of the chosen round, the sites of `alone` and the folds averaged."""
    values = collections.defaultdict(list)
    for model in metrics["arms"][arm]["by_round"]:
        values[model["repeat"]].append(model["test_auc"][model["rounds"].index(model["best_round"])])
    return [statistics.mean(values[repeat]) for repeat in sorted(values)]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    runs = []
    for argument in sys.argv[1:]:
        name, folder = argument.rsplit("=", 1)
        with open(os.path.join(folder, "metrics.json")) as file:
            metrics = json.load(file)
        metrics["arms"] = {arm["name"]: arm for arm in metrics["arms"]}
        metrics["comparisons"] = {(c["a"], c["b"]): c for c in metrics["comparisons"]}
        runs.append((name, metrics))
    print("| images | network | pooled | federated | alone |\n|---|---|---|---|---|")
    for name, metrics in runs:
        print(f"| {name} | " + " | ".join(interval(metrics["arms"][arm]["auc"]) for arm in ARMS) + " |")
    print("\n| images | network | federated - pooled | 90% interval | verdict | federated - alone |\n|---|---|---|---|---|---|")
    for name, metrics in runs:
        pooled, alone = metrics["comparisons"]["federated", "pooled"], metrics["comparisons"]["federated", "alone"]
        same = pooled["equivalence"]
        print(f"| {name} | {interval(pooled['difference'])} | {number(same['low90'])} to {number(same['high90'])} | "
              f"{same['verdict'].replace('_', ' ')} | {interval(alone['difference'])} |")
    print("\n| images | network | | " + " | ".join(str(i + 1) for i in range(5)) + " |\n|---|---|---|" + "---|" * 5)
    for name, metrics in runs:
        for arm in ARMS:
            print(f"| {name if arm == ARMS[0] else ' | '} | {arm} | " +
                  " | ".join(f"{auc:.3f}" for auc in by_repeat(metrics, arm)) + " |")


if __name__ == "__main__":
    main()
