#!/usr/bin/python3
"""Times the fused engine against PyTorch, and against its bound: oneDNN's convolutions and matrix products alone.

Each row runs the three in turn, so that whatever else the machine does falls to all of them, and gives medians. Images per
processor second are what is compared: on a machine that others use, elapsed time says little.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# network, side, batch, what, threads, precision, target against PyTorch
ROWS = [
    ("cnn3", 64, 32, "train", 1, "float32", None),
    ("cnn3", 64, 32, "train", 1, "bfloat16", None),
    ("resnet18", 224, 16, "train", 1, "float32", 1.3),
    ("resnet18", 224, 16, "train", 1, "bfloat16", 1.5),
    ("squeezenet1_1", 224, 16, "train", 1, "float32", None),
    ("squeezenet1_1", 224, 16, "train", 1, "bfloat16", 1.5),
    ("vgg16", 224, 4, "train", 1, "float32", None),
    ("vgg16", 224, 4, "train", 1, "bfloat16", 1.5),
    ("mobilenet_v3_small", 224, 16, "train", 1, "float32", None),
    ("mobilenet_v3_small", 224, 16, "train", 1, "bfloat16", None),
    ("densenet121", 224, 8, "train", 1, "float32", None),
    ("densenet121", 224, 8, "train", 1, "bfloat16", None),
    ("resnet50", 224, 8, "train", 1, "float32", None),
    ("resnet50", 224, 8, "train", 1, "bfloat16", None),
    ("resnet18", 224, 16, "infer", 1, "float32", None),
    ("resnet18", 224, 16, "infer", 2, "float32", None),
    ("resnet18", 224, 16, "infer", 2, "bfloat16", 1.5),
]


def run(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    if done.returncode != 0:
        sys.exit(f"status {done.returncode}: {shlex.join(command)}")
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench-engine", required=True, help="the program bench_engine, as built")
    parser.add_argument("--python", default="/usr/bin/python3", help="a Python with torch and torchvision")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each run")
    parser.add_argument("--only", help="rows whose network has this in its name")
    parser.add_argument("--precision", help="rows of this precision alone")
    options = parser.parse_args()
    print(f"| network, side, batch | what, threads, precision | fused | PyTorch | ratio | target | bound | share of the bound | MiB | PyTorch's |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for network, side, batch, what, threads, precision, target in ROWS:
        if options.only and options.only not in network or options.precision and options.precision != precision:
            continue
        same = ["--model", network, "--image-size", str(side), "--batch", str(batch), "--threads", str(threads),
                "--seconds", str(options.seconds), "--precision", precision]
        bound = "bound" if what == "train" else "bound-infer"
        commands = {"fused": [options.bench_engine, "--what", what, *same],
                    "pytorch": [options.python, os.path.join(HERE, "pytorch_step.py"), "--what", what, *same],
                    "bound": [options.bench_engine, "--what", bound, *same]}
        results = {name: [] for name in commands}
        for _ in range(options.repeats):
            for name, command in commands.items():
                results[name].append(run(command, threads))
        pace = {name: statistics.median(r["images_per_processor_second"] for r in runs) for name, runs in results.items()}
        memory = {name: statistics.median(r["peak_mib"] for r in runs) for name, runs in results.items()}
        print(f"| {network}, {side}, {batch} | {what}, {threads}, {precision} | {pace['fused']:.1f} | {pace['pytorch']:.1f} | "
              f"{pace['fused'] / pace['pytorch']:.2f} | {target or ''} | {pace['bound']:.1f} | {pace['fused'] / pace['bound']:.2f} | "
              f"{memory['fused']:.0f} | {memory['pytorch']:.0f} |", flush=True)
    print(f"\nimages per processor second, medians of {options.repeats}; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
