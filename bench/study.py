#!/usr/bin/python3
"""Times `manako study` against the same study in plain PyTorch (pytorch_study.py).

Draws phantom images, gives both programs one manifest with the same split and sites, and runs them in turn. Prints
each command, each run, and a table of medians: seconds, processor seconds, peak memory, and Manako's share of PyTorch's.
"""
import argparse
import csv
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SITES = 3


def draw_images(manako, folder, per_class):
    """Phantoms and a manifest: 1/5 for testing, 3/20 of the rest for validation, dealt to the sites in turn."""
    images = os.path.join(folder, "images")
    subprocess.run([manako, "phantom", "--out", images, "--per-class", str(per_class), "--seed", "7"], check=True,
                   stdout=subprocess.DEVNULL)
    rows = []
    for label in sorted(e.name for e in os.scandir(images) if e.is_dir()):
        files = sorted(os.listdir(os.path.join(images, label)))
        test = round(0.2 * len(files))
        validation = max(SITES, round(0.15 * (len(files) - test)))
        for i, name in enumerate(files):
            split = "test" if i < test else "validation" if i < test + validation else "train"
            rows.append([f"images/{label}/{name}", label, f"site-{i % SITES + 1}", split])
    path = os.path.join(folder, "manifest.csv")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "site", "split"], *rows])
    return path


def run(command, environment):
    """Runs a command: its output, seconds, processor seconds, and the peak memory of its largest process in MiB."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"status {process.returncode}: {shlex.join(command)}")
    return output, {"seconds": time.perf_counter() - begin, "cpu": usage.ru_utime + usage.ru_stime,
                    "mib": usage.ru_maxrss / 1024}


def read_journal(folder):
    with open(os.path.join(folder, "journal.jsonl")) as file:
        events = [json.loads(line) for line in file]
    decode = next(e["seconds"] for e in events if e["event"] == "data_loaded")
    total = next(e["seconds"] for e in events if e["event"] == "run_finished")
    # Selected by validation as the PyTorch script does it: the best round's test AUC of each model.
    auc = {}
    for done in (e for e in events if e["event"] == "model_finished"):
        key = done["arm"] + (":" + done["site"] if done["site"] else "")
        auc[key] = next(e["test_auc"] for e in events if e["event"] == "round" and e["arm"] == done["arm"]
                        and e["site"] == done["site"] and e["round"] == done["best_round"])
    trained = sum(e["images"] for e in events if e["event"] == "round")
    return {"decode": decode, "learning": total - decode, "trained": trained}, auc


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manako", required=True, help="the program, as built")
    parser.add_argument("--python", default="/usr/bin/python3", help="a Python with torch and torchvision")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--images", type=int, default=48, help="images of each of the two classes")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", default="float32", help="Manako's: float32, bfloat16, auto")
    parser.add_argument("--pytorch-precision", default="float32", help="float32, bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="PyTorch's DataLoader processes while training")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="manako-bench-") as folder:
        manifest = draw_images(options.manako, folder, options.images)
        out = os.path.join(folder, "run")
        same = ["--model", options.model, "--image-size", str(options.image_size), "--rounds", str(options.rounds),
                "--threads", str(options.threads)]
        ours = [options.manako, "study", manifest, "--out", out, "--site-column", "site", "--split-column", "split",
                "--no-thumbnails", "--precision", options.precision, *same]
        theirs = [options.python, os.path.join(HERE, "pytorch_study.py"), manifest, "--precision",
                  options.pytorch_precision, "--workers", str(options.workers), *same]
        print(shlex.join(ours), shlex.join(theirs), sep="\n")
        # OpenMP must not take more than what is asked for, in either.
        environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
        runs = {"manako": [], "pytorch": []}
        for repeat in range(options.repeats):
            shutil.rmtree(out, ignore_errors=True)
            _, cost = run(ours, environment)
            parts, our_auc = read_journal(out)
            runs["manako"].append({**cost, **parts})
            output, cost = run(theirs, environment)
            told = json.loads(output.strip().splitlines()[-1])
            runs["pytorch"].append({**cost, "decode": told["decode_seconds"], "learning": told["learning_seconds"],
                                    "trained": told["trained_images"]})
            for name, results in runs.items():
                print(f"run {repeat + 1} {name:8}", json.dumps({k: round(v, 2) for k, v in results[-1].items()}), flush=True)
        if runs["manako"][-1]["trained"] != runs["pytorch"][-1]["trained"]:
            sys.exit("the programs did not train on the same number of images: the comparison is void")
        print("test AUC, manako: ", json.dumps({k: round(v, 3) for k, v in our_auc.items()}))
        print("test AUC, pytorch:", json.dumps(told["auc"]))

        print(f"\nmedian of {options.repeats}; load average {os.getloadavg()[0]:.1f}")
        print(f"{'':24}{'manako':>10}{'pytorch':>10}{'ratio':>8}")
        for key, title in (("seconds", "total, s"), ("learning", "train + evaluate, s"), ("decode", "decode, s"),
                           ("cpu", "processor time, s"), ("mib", "peak memory, MiB")):
            a, b = (statistics.median(r[key] for r in runs[name]) for name in ("manako", "pytorch"))
            print(f"{title:24}{a:10.2f}{b:10.2f}{a / b:8.2f}")


if __name__ == "__main__":
    main()
