#!/usr/bin/python3
"""The study of `manako study` as a plain PyTorch script: what Manako's speed and memory are compared with.

Pooled training, federated training (FedAvg) and every site alone, with the same network, images, split, batches,
steps, optimiser, schedule, augmentation and evaluations as Manako's defaults. The split comes from a manifest with
the columns file, label, site and split (train, validation, test), so both programs see the same images in the same
roles. Images are decoded once into memory, as uint8 tensors, before training; that time is printed apart.

It is meant to be fast PyTorch, not a straw man: channels-last, sets of tensors instead of files, gradients set to
None, evaluation in inference mode, one prediction of the best round kept instead of made again.

Prints one line of JSON; progress goes to standard error.
"""
import argparse
import contextlib
import copy
import csv
import itertools
import json
import math
import os
import resource
import sys
import time

START = time.perf_counter()

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets.folder import default_loader
from torchvision.transforms import InterpolationMode

from pytorch_networks import network

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH, DECAY, WARMUP = 32, 1e-4, 0.05


def read_manifest(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    folder = os.path.dirname(os.path.abspath(path))
    return [dict(row, path=os.path.join(folder, row["file"])) for row in rows]


def read_safetensors(path):
    """The tensors of a safetensors file by name, as float32 (Debian has no package that reads it)."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        kinds = {"F32": torch.float32, "F16": torch.float16}
        if entry["dtype"] not in kinds:
            sys.exit(f"{path}: {name} is {entry['dtype']}; {' and '.join(kinds)} are read")
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=kinds[entry["dtype"]]).float().reshape(entry["shape"])
    return tensors


def decode(rows, size, threads):
    """All images as one uint8 tensor, decoded by worker processes as ImageFolder's usual loader does it."""
    fit = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()])

    class Files(Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            return fit(default_loader(rows[index]["path"]))

    return torch.cat(list(DataLoader(Files(), batch_size=16, num_workers=threads)))


class Images(Dataset):
    """Some of the decoded images, augmented or not."""

    def __init__(self, pixels, labels, indices, augment):
        self.pixels, self.labels, self.indices = pixels, labels, indices
        steps = [transforms.ConvertImageDtype(torch.float32), transforms.Normalize(MEAN, STD)]
        if augment:
            steps[:0] = [
                transforms.RandomHorizontalFlip(),
                transforms.RandomAffine(10, scale=(0.9, 1.1), interpolation=InterpolationMode.BILINEAR),
                transforms.ColorJitter(brightness=0.1, contrast=0.1),
            ]
        self.transform = transforms.Compose(steps)

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        image = self.indices[index]
        return self.transform(self.pixels[image]), self.labels[image]


class EvenBatches:
    """Every image once an epoch, in `batches` shuffled batches whose sizes differ by one at the most."""

    def __init__(self, count, batches):
        self.count, self.batches = count, batches

    def __len__(self):
        return self.batches

    def __iter__(self):
        order = torch.randperm(self.count).tolist()
        for i in range(self.batches):
            yield order[self.count * i // self.batches : self.count * (i + 1) // self.batches]


def endless(loader):
    while True:
        yield from loader


class Trainer:
    """One site: its images, its model, and an optimiser whose moments live from round to round."""

    def __init__(self, study, train, batches, class_weights, rate_factor):
        self.study = study
        self.model = study.channels_last(copy.deepcopy(study.initial))
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=study.options.learning_rate * rate_factor, weight_decay=DECAY)
        total = batches * study.options.rounds
        warmup = math.floor(WARMUP * total)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser,
            lambda step: (step + 1) / (warmup + 1)
            if step < warmup
            else 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / max(1, total - warmup)))),
        )
        self.images = len(train)
        self.class_weights = class_weights
        data = Images(study.pixels, study.labels, train, augment=True)
        self.loader = DataLoader(data, batch_sampler=EvenBatches(len(train), batches), num_workers=study.options.workers)
        # Of the loader alone: a generator that held `self` would keep model and moments alive in a cycle.
        self.batches = endless(self.loader)

    def train(self, steps):
        self.model.train()
        for images, labels in itertools.islice(self.batches, steps):
            images = images.contiguous(memory_format=torch.channels_last)
            with self.study.autocast():
                logits = self.model(images)
            loss = F.cross_entropy(logits.float(), labels, weight=self.class_weights)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            if not math.isfinite(loss.item()):
                sys.exit("the loss is no longer finite")
            self.study.trained += len(labels)


def fedavg(trainers, model):
    """The mean of parameters and float buffers, weighted by images, into `model`."""
    total = sum(t.images for t in trainers)
    states = [t.model.state_dict() for t in trainers]
    mean = {}
    for name, first in states[0].items():
        if first.is_floating_point():
            mean[name] = sum(state[name] * (t.images / total) for state, t in zip(states, trainers))
        else:
            mean[name] = first
    model.load_state_dict(mean)


def area_under_curve(scores, positive):
    """Mann and Whitney's statistic, ties counted half."""
    diseased, healthy = scores[positive], scores[~positive]
    if not len(diseased) or not len(healthy):
        return float("nan")
    difference = diseased[:, None] - healthy[None, :]
    return ((difference > 0).double() + 0.5 * (difference == 0).double()).mean().item()


class Study:
    def __init__(self, options):
        self.options = options
        rows = read_manifest(options.manifest)
        classes = sorted({row["label"] for row in rows})
        self.positive = next((i for i, name in enumerate(classes) if name != "normal"), 1)
        self.sites = sorted({row["site"] for row in rows})
        self.labels = torch.tensor([classes.index(row["label"]) for row in rows])
        self.rows = rows
        begin = time.perf_counter()
        self.pixels = decode(rows, options.image_size, options.threads)
        self.decode_seconds = time.perf_counter() - begin
        torch.manual_seed(options.seed)
        self.initial = network(options.model, len(classes))
        if options.init:
            own = self.initial.state_dict()
            own.update({n: t for n, t in read_safetensors(options.init).items() if t.shape == own[n].shape})
            self.initial.load_state_dict(own)
        self.trained = self.evaluated = 0

    def channels_last(self, model):
        return model.to(memory_format=torch.channels_last)

    def autocast(self):
        if self.options.precision == "bfloat16":
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def select(self, split, site=None):
        return [i for i, r in enumerate(self.rows) if r["split"] == split and site in (None, r["site"])]

    def evaluate(self, model, indices):
        """AUC and mean loss on some images."""
        model.eval()
        data = Images(self.pixels, self.labels, indices, augment=False)
        outputs = []
        with torch.inference_mode(), self.autocast():
            for images, _ in DataLoader(data, batch_size=BATCH, num_workers=self.options.workers):
                outputs.append(model(images.contiguous(memory_format=torch.channels_last)).float())
        self.evaluated += len(indices)
        logits, labels = torch.cat(outputs), self.labels[indices]
        scores = logits.softmax(1)[:, self.positive]
        return area_under_curve(scores, labels == self.positive), F.cross_entropy(logits, labels).item()

    def run_model(self, name, site_names, validation):
        """Trains one model on the images of some sites (None: all together); the test AUC of its best round and of the last."""
        options = self.options
        images = [self.select("train", site) for site in site_names]
        counts = torch.bincount(self.labels[sum(images, [])], minlength=2).double()
        class_weights = (counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))).float()
        steps = math.ceil(sum(map(len, images)) / BATCH)
        trainers = []
        for own in images:
            # Federated sites divide the batch among them: as many steps as the pooled training makes.
            batches = steps if len(images) == 1 else max(1, min(steps, len(own) // 2))
            # Adam on a part of the batch: the square root rule, as Manako has it.
            rate_factor = math.sqrt(sum(map(len, images)) / len(own))
            trainers.append(Trainer(self, own, batches, class_weights, rate_factor))
        # An epoch is one round, or as many as --local-steps makes of it.
        own_steps = steps if len(images) > 1 else batches
        part = options.local_steps or own_steps
        parts = [min(part, own_steps - begin) for begin in range(0, own_steps, part)]
        model = trainers[0].model if len(trainers) == 1 else self.channels_last(copy.deepcopy(self.initial))
        test = self.select("test")
        self.evaluate(model, validation)
        self.evaluate(model, test)
        best = None
        for round_number in range(1, options.rounds + 1):
            for part in parts:
                for trainer in trainers:
                    if len(trainers) > 1:
                        trainer.model.load_state_dict(model.state_dict())
                    trainer.train(part)
                if len(trainers) > 1:
                    fedavg(trainers, model)
            auc, loss = self.evaluate(model, validation)
            test_auc, _ = self.evaluate(model, test)
            print(f"{name} round {round_number}: validation {auc:.3f}, test {test_auc:.3f}", file=sys.stderr)
            if best is None or (auc, -loss) > best[0]:
                best = ((auc, -loss), test_auc, copy.deepcopy(model.state_dict()))
        return best[1], test_auc

    def run(self):
        begin = time.perf_counter()
        arms = {}
        if "pooled" in self.options.arms:
            arms["pooled"] = self.run_model("pooled", [None], self.select("validation"))
        if "federated" in self.options.arms:
            arms["federated"] = self.run_model("federated", self.sites, self.select("validation"))
        if "alone" in self.options.arms:
            for site in self.sites:
                arms[f"alone {site}"] = self.run_model(f"alone {site}", [site], self.select("validation", site))
        learning = time.perf_counter() - begin
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "total_seconds": time.perf_counter() - START,
            "decode_seconds": self.decode_seconds,
            "learning_seconds": learning,
            "trained_images": self.trained,
            "evaluated_images": self.evaluated,
            "images_per_second": (self.trained + self.evaluated) / learning,
            "peak_mib": kib / 1024,
            "auc": {name: best for name, (best, _) in arms.items()},
            "last_auc": {name: last for name, (_, last) in arms.items()},
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("manifest", help="CSV with the columns file, label, site, split")
    parser.add_argument("--model", default="resnet18", help="cnn3, or a network of torchvision")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--init", default="", help="trained parameters: safetensors with torchvision's names")
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--arms", nargs="+", default=["pooled", "federated", "alone"])
    parser.add_argument("--rounds", type=int, default=2, help="epochs; after each the model is evaluated")
    parser.add_argument("--local-steps", type=int, default=0, help="steps between averages (0: an epoch)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="DataLoader processes while training")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(Study(options).run()))


if __name__ == "__main__":
    main()
