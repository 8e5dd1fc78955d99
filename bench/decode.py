#!/usr/bin/python3
"""Times Manako's decoding against torchvision's ImageFolder on large JPEGs (run it through decode.sh).

Makes JPEGs of 3900x3072 pixels from phantoms, scaled up and with noise, in a temporary folder. Then, in turn:
bench_decode (a new cache, then the same one again) and ImageFolder + Resize + CenterCrop + ToTensor through a
DataLoader with as many worker processes as bench_decode has threads. Prints every run and a table of medians.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

WIDTH, HEIGHT, QUALITY = 3900, 3072, 90


def make_images(manako, folder, count):
    import numpy
    from PIL import Image

    with tempfile.TemporaryDirectory() as small:
        phantoms = os.path.join(small, "phantoms")
        subprocess.run([manako, "phantom", "--out", phantoms, "--per-class", str((count + 1) // 2)], check=True,
                       stdout=subprocess.DEVNULL)
        random = numpy.random.default_rng(1)
        for label in sorted(e.name for e in os.scandir(phantoms) if e.is_dir()):
            os.makedirs(os.path.join(folder, label))
            for name in sorted(os.listdir(os.path.join(phantoms, label)))[: (count + 1) // 2]:
                image = Image.open(os.path.join(phantoms, label, name)).convert("RGB")
                pixels = numpy.asarray(image.resize((WIDTH, HEIGHT), Image.BICUBIC)).astype(numpy.int16)
                # The sensor's noise: what makes a photograph's file as large as it is.
                pixels += random.integers(-4, 5, size=(HEIGHT, WIDTH, 1), dtype=numpy.int16)
                image = Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))
                image.save(os.path.join(folder, label, name), quality=QUALITY)
    sizes = [os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files]
    print(f"{len(sizes)} JPEGs of {WIDTH}x{HEIGHT}, {sum(sizes) / len(sizes) / 2**20:.1f} MiB each")


def time_torchvision(folder, size, workers):
    """In a process of its own, so that neither program's memory or threads reach the other."""
    import torch
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    fit = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor()])
    begin = time.perf_counter()
    images = datasets.ImageFolder(folder, fit)
    loader = torch.utils.data.DataLoader(images, batch_size=2, num_workers=workers)
    count = sum(len(labels) for _, labels in loader)
    print(json.dumps({"images": count, "seconds": time.perf_counter() - begin}))


def run(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"status {process.returncode}: {' '.join(command)}")
    return json.loads(output), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manako", help="the program, to draw the phantoms")
    parser.add_argument("--bench-decode", help="the program bench_decode")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--torchvision", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--make", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torchvision:
        return time_torchvision(options.torchvision, options.image_size, options.threads)
    if options.make:
        return make_images(options.manako, options.make, options.images)
    if not options.manako or not options.bench_decode:
        parser.error("--manako and --bench-decode are needed")

    size, threads = str(options.image_size), str(options.threads)
    with tempfile.TemporaryDirectory(prefix="manako-bench-") as folder:
        # In a process of its own: a child's peak memory is never less than its parent's was when it was started.
        subprocess.run([sys.executable, __file__, "--make", folder, "--manako", options.manako, "--images",
                        str(options.images)], check=True)
        ours = [options.bench_decode, folder, "--size", size, "--threads", threads]
        theirs = [sys.executable, __file__, "--torchvision", folder, "--image-size", size, "--threads", threads]
        rates = {"torchvision": [], "manako, decode": [], "manako, cached": []}
        for repeat in range(options.repeats):
            told, ours_cpu, ours_mib = run(ours)
            rates["manako, decode"].append(told["decode"]["images_per_second"])
            rates["manako, cached"].append(told["cached"]["images_per_second"])
            told, cpu, mib = run(theirs)
            rates["torchvision"].append(told["images"] / told["seconds"])
            print(f"run {repeat + 1}", *(f"{k} {v[-1]:.1f}/s;" for k, v in rates.items()),
                  f"processor seconds {ours_cpu:.2f} and {cpu:.2f}, peak MiB {ours_mib:.0f} and {mib:.0f}"
                  " (manako, torchvision)", flush=True)
        base = statistics.median(rates["torchvision"])
        print(f"\nmedian of {options.repeats}, {threads} threads; load average {os.getloadavg()[0]:.1f}")
        for name, values in rates.items():
            print(f"{name:16}{statistics.median(values):10.1f} images/s{statistics.median(values) / base:9.1f} x")


if __name__ == "__main__":
    main()
