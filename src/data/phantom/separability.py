#!/usr/bin/python3
"""How hard the phantom task is: what separates the classes when it sees colours only, sees a thumbnail, or learns.

    manako phantom --out runs/phantom --per-class 973 --seed 7
    nice /usr/bin/python3 src/data/phantom/separability.py runs/phantom            # colours and thumbnails
    nice /usr/bin/python3 src/data/phantom/separability.py runs/phantom --networks  # and two networks (minutes)

Prints AUCs. Wanted: colour histograms under 0.75, thumbnails under about 0.85, a good network over 0.95.
Development only: needs Debian's python3-numpy, -pil, -sklearn and, for --networks, -torch and -torchvision.
"""
import argparse
import csv
import os

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def read(folder):
    with open(os.path.join(folder, 'manifest.csv'), encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    labels = np.array([row['label'] == 'detachment' for row in rows], dtype=np.int64)
    patients = np.array([row['patient'] for row in rows])
    shares = np.array([float(row['detachment_share']) for row in rows])
    return [os.path.join(folder, row['file']) for row in rows], labels, patients, shares


def features(path):
    image = Image.open(path).convert('RGB')
    pixels = np.asarray(image).reshape(-1, 3)
    joint = np.bincount(((pixels >> 5).astype(np.int64) @ np.array([64, 8, 1])), minlength=512)
    single = np.concatenate([np.bincount(pixels[:, c] >> 3, minlength=32) for c in range(3)])
    mean_and_spread = np.concatenate([pixels.mean(axis=0), pixels.std(axis=0)])
    thumbnail = np.asarray(image.resize((16, 16), Image.BOX), dtype=np.float64).ravel()
    return {
        'histogram 8x8x8': np.sqrt(joint / len(pixels)),
        'histogram 3x32': np.sqrt(single / len(pixels)),
        'mean and spread': mean_and_spread,
        'thumbnail 16x16': thumbnail,
    }


def linear_auc(x, y):
    """The best of several strengths of regularisation: an upper bound, as an adversary would have it."""
    best = 0
    for c in (1e-3, 1e-2, 1e-1, 1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300))
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        scores = cross_val_predict(model, x, y, cv=folds, method='decision_function')
        best = max(best, roc_auc_score(y, scores))
    return best


def network_aucs(files, labels, patients, shares, at_most, epochs):
    import torch
    import torchvision
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(2)
    rng = np.random.default_rng(0)
    names = rng.permutation(np.unique(patients))
    chosen = np.isin(patients, names[:int(len(names) * min(1, at_most / len(files)))])
    index = np.flatnonzero(chosen)
    test = np.isin(patients[index], names[:int(chosen.sum() * 0.25)])

    def three_convolutions():
        layers = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))

    for name, side, model, rounds, rate in (
            ('three convolutions, 64x64', 64, three_convolutions(), 4 * epochs, 4e-3),
            ('ResNet-18, 128x128', 128, torchvision.models.resnet18(num_classes=2), epochs, 1e-3)):
        x = np.stack([np.asarray(Image.open(files[i]).convert('RGB').resize((side, side), Image.BOX)) for i in index])
        x = torch.from_numpy(x).permute(0, 3, 1, 2).float().div(255).sub(0.3).div(0.2)
        y = torch.from_numpy(labels[index])
        train = np.flatnonzero(~test)
        held = np.flatnonzero(test)
        steps = rounds * -(-len(train) // 32)
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
        for _ in range(rounds):
            model.train()
            for batch in np.array_split(rng.permutation(train), -(-len(train) // 32)):
                images = x[batch]
                if rng.random() < 0.5:
                    images = images.flip(3)
                if rng.random() < 0.5:
                    images = images.flip(2)
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(images), y[batch]).backward()
                optimiser.step()
                schedule.step()
        model.eval()
        with torch.no_grad():
            scores = torch.cat([model(x[part]) for part in np.array_split(held, 8)])
            scores = (scores[:, 1] - scores[:, 0]).numpy()
        truth = labels[index][held]
        small = (shares[index][held] < 0.15) & (truth == 1)
        print(f'{name}: AUC {roc_auc_score(truth, scores):.3f} ({len(train)} train, {len(held)} test, {rounds} epochs);'
              f' against detachments under 15 % of the field {roc_auc_score(truth[(truth == 0) | small], scores[(truth == 0) | small]):.3f}',
              flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('folder')
    parser.add_argument('--networks', action='store_true')
    parser.add_argument('--at-most', type=int, default=1500, help='images for the networks')
    parser.add_argument('--epochs', type=int, default=8, help='of ResNet-18; the small network gets four times as many')
    arguments = parser.parse_args()
    files, labels, patients, shares = read(arguments.folder)
    table = [features(path) for path in files]
    for name in table[0]:
        x = np.stack([row[name] for row in table])
        print(f'{name}: AUC {linear_auc(x, labels):.3f} ({len(labels)} images, 5 folds)', flush=True)
    if arguments.networks:
        network_aucs(files, labels, patients, shares, arguments.at_most, arguments.epochs)


if __name__ == '__main__':
    main()
