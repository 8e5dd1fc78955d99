#!/usr/bin/env python3
"""What each rule for the final model would have given in finished studies: bench/round_choice.py RUN...

Reads each run's journal.jsonl and prints, for every arm, the mean test AUC of the round that the rule chooses by
validation AUC (federation.select: near_best, best, last), and of the best round by test AUC, which nobody can know."""
import collections
import json
import math
import statistics
import sys


def standard_error(auc, images):
    """Hanley and McNeil 1982, as src/round/round_choice.h."""
    auc = min(max(auc, 0.5), 1 - 0.5 / min(images))
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)

    def one(n, m):
        return math.sqrt((auc * (1 - auc) + (n - 1) * (q1 - auc * auc) + (m - 1) * (q2 - auc * auc)) / (n * m))

    n, m = images
    return (one(n, m) + one(m, n)) / 2


def best(rounds, _):
    return max(rounds, key=lambda r: (r["validation_auc"], -r["validation_loss"]))


def near_best(rounds, images):
    highest = best(rounds, images)["validation_auc"]
    return [r for r in rounds if r["validation_auc"] >= highest - 2 * standard_error(highest, images)][-1]


RULES = {
    "near_best": near_best,
    "best": best,
    "last": lambda rounds, _: rounds[-1],
    "(by test AUC)": lambda rounds, _: max(rounds, key=lambda r: r["test_auc"]),
}


def main(run):
    trainings, sites = collections.defaultdict(list), {}
    with open(run + "/journal.jsonl") as lines:
        for event in map(json.loads, lines):
            if event["event"] == "cell_started":
                sites[event["repeat"], event["fold"]] = {s["name"]: s["validation"] for s in event["sites"]}
            if event["event"] == "round" and event["round"] > 0:
                trainings[event["arm"], event["repeat"], event["fold"], event["site"]].append(event)
    print(run)
    for arm in ("pooled", "federated", "alone"):
        row = []
        for rule in RULES.values():
            chosen = []
            for (own_arm, repeat, fold, site), rounds in trainings.items():
                if own_arm != arm:
                    continue
                counts = sites[repeat, fold]
                images = counts[site] if site else [sum(c) for c in zip(*counts.values())]
                chosen.append(rule(rounds, images)["test_auc"])
            row.append(statistics.mean(chosen) if chosen else math.nan)
        print(f"  {arm:10}" + "".join(f"  {name} {value:.3f}" for name, value in zip(RULES, row)))


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        main(folder)
