#!/usr/bin/python3
"""Repeats a finished `manako study` in plain PyTorch, on the same splits: is Manako's AUC what PyTorch gives?

    bench/same_split.py RUN [--arms pooled federated] [--repeats N]

Takes images, network, length, learning rate and splits from the run folder (config.toml, predictions.csv), trains every
repeat and fold with pytorch_study.py, and prints the test AUC of the last round of both, cell by cell, and their mean.
Training images are dealt to the sites anew, by whole patients; the other differences are the random numbers. For runs of a
manifest with trained parameters (--init, safetensors) or without.
"""
import argparse
import collections
import csv
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def last_round(run):
    """Test AUC of the last round: {(repeat, fold): {arm: AUC}}, the sites of `alone` averaged."""
    values = {}
    with open(os.path.join(run, "journal.jsonl")) as file:
        for event in map(json.loads, file):
            if event["event"] == "round" and event["test_auc"] is not None:
                values[event["repeat"], event["fold"], event["arm"], event["site"]] = event["test_auc"]
    cells = collections.defaultdict(lambda: collections.defaultdict(list))
    for (repeat, fold, arm, _), auc in values.items():
        cells[repeat, fold][arm].append(auc)
    return {cell: {arm: statistics.mean(aucs) for arm, aucs in arms.items()} for cell, arms in cells.items()}


def write_manifest(config, images, known, path, seed):
    """The cell's manifest for pytorch_study.py. `known`: the split and site of validation and test images."""
    data, sites = config["data"], config["partition"]["sites"]
    patients = collections.defaultdict(list)
    for image in images:
        if image[data["file_column"]] not in known:
            patients[image[data["group_column"]]].append(image)
    groups = sorted(patients.values(), key=lambda group: (group[0][data["label_column"]], group[0][data["file_column"]]))
    random.Random(seed).shuffle(groups)
    counts = [collections.Counter() for _ in range(sites)]
    rows = []
    for group in groups:
        label = group[0][data["label_column"]]
        site = min(range(sites), key=lambda s: counts[s][label])
        counts[site][label] += len(group)
        rows += [(image, "train", f"site-{site + 1}") for image in group]
    rows += [(image, *known[image[data["file_column"]]]) for image in images if image[data["file_column"]] in known]
    folder = os.path.dirname(os.path.abspath(data["path"]))
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file", "label", "site", "split"])
        for image, split, site in rows:
            out.writerow([os.path.join(folder, image[data["file_column"]]), image[data["label_column"]], site, split])


def epochs(config):
    """How many passes over the images, and how many steps between averages (0: an epoch)."""
    train, rounds = config["train"], config["federation"]["rounds"]
    if train["local_steps"] == 0:
        return rounds * train["local_epochs"], 0
    return train["epochs"], train["local_steps"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder of a finished study of a manifest")
    parser.add_argument("--arms", nargs="+", default=["pooled", "federated"])
    parser.add_argument("--repeats", type=int, default=0, help="only the run's first so many (0: all)")
    options = parser.parse_args()
    with open(os.path.join(options.run, "config.toml"), "rb") as file:
        config = tomllib.load(file)
    images = read_csv(config["data"]["path"])
    length, local_steps = epochs(config)
    known = collections.defaultdict(dict)
    for row in read_csv(os.path.join(options.run, "predictions.csv")):
        if row["arm"] == config["study"]["arms"][0]:
            known[int(row["repeat"]), int(row["fold"])][row["file"]] = (row["split"], row["image_site"])
    manako = last_round(options.run)
    totals = collections.defaultdict(list)
    for cell in sorted(manako):
        if options.repeats and cell[0] > options.repeats:
            break
        with tempfile.NamedTemporaryFile(suffix=".csv") as manifest:
            write_manifest(config, images, known[cell], manifest.name, seed=cell[0])
            command = [sys.executable,
                       os.path.join(HERE, "pytorch_study.py"), manifest.name,
                       "--model", config["model"]["architecture"], "--image-size", str(config["data"]["image_size"]),
                       "--rounds", str(length), "--local-steps", str(local_steps),
                       "--learning-rate", str(config["train"]["learning_rate"]), "--seed", str(cell[0] * 100 + cell[1]),
                       "--arms", *options.arms]
            if config["model"]["init"]:
                command += ["--init", config["model"]["init"]]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(done.stderr.strip().splitlines()[-1])
            told = json.loads(done.stdout)
        line = []
        for arm in options.arms:
            theirs = statistics.mean(v for name, v in told["last_auc"].items() if name.split()[0] == arm)
            totals[arm].append((manako[cell].get(arm, math.nan), theirs))
            line.append(f"{arm} {totals[arm][-1][0]:.3f} {theirs:.3f}")
        print(f"repeat {cell[0]} fold {cell[1]}: " + ", ".join(line), flush=True)
    for arm, pairs in totals.items():
        differences = [ours - theirs for ours, theirs in pairs]
        spread = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
        print(f"{arm}: Manako {statistics.mean(p[0] for p in pairs):.3f}, PyTorch {statistics.mean(p[1] for p in pairs):.3f}, "
              f"difference {statistics.mean(differences):+.3f} (standard error {spread:.3f}, {len(pairs)} trainings)")


if __name__ == "__main__":
    main()
