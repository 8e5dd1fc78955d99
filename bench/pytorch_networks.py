"""The networks that the PyTorch scripts compare: torchvision's, and Manako's own."""
import torch.nn as nn
import torchvision


def cnn3(classes):
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.Linear(64, classes))


def network(name, classes=2):
    return cnn3(classes) if name == "cnn3" else torchvision.models.get_model(name, num_classes=classes)
