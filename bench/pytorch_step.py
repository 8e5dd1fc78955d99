#!/usr/bin/python3
"""Times training steps or inference of one network in PyTorch, as a competent user writes it: channels-last; inference traced and
optimised. Prints one line of JSON, as bench_engine does. For engine.py."""
import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F

from pytorch_networks import network


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="cnn3")
    parser.add_argument("--what", choices=["train", "infer"], default="train")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="bfloat16: autocast")
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = network(options.model)
    model = model.to(memory_format=torch.channels_last)
    side = options.image_size
    images = torch.randn(options.batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(options.batch) % 2
    autocast = torch.cpu.amp.autocast(enabled=options.precision == "bfloat16")
    if options.what == "train":
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

        def step():
            with autocast:
                loss = F.cross_entropy(model(images), labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            loss.item()
    else:
        model.eval()
        with torch.inference_mode(), torch.cpu.amp.autocast(enabled=options.precision == "bfloat16", cache_enabled=False):
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, images)))

        def step():
            with torch.inference_mode(), autocast:
                model(images)

    for _ in range(3):
        step()
    begin, processor, steps = time.perf_counter(), processor_seconds(), 0
    while steps == 0 or time.perf_counter() - begin < options.seconds:
        step()
        steps += 1
    seconds = (time.perf_counter() - begin) / steps
    print(json.dumps({"images_per_second": options.batch / seconds,
                      "images_per_processor_second": options.batch / ((processor_seconds() - processor) / steps),
                      "ms": 1e3 * seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
