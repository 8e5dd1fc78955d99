"""Writes torchvision.txt: what torchvision's networks are and give, for the tests of the built-in ones.

Usage: python3 make_torchvision.py > torchvision.txt        (torch 1.13, torchvision 0.14)

The values come from a formula of integer arithmetic that the tests compute as well, so no weights are stored.
One block for each network, one item per line:
  network NAME CLASSES
  eval LOGITS...   of the formula's values on the formula's images, row by row
  train LOGITS...  the same in training mode without dropout
  loss VALUE       cross-entropy of these, image i having class i mod CLASSES
  tensor NAME KIND SHAPE MEAN STD MAX NORM
                   in state_dict order; KIND is parameter, buffer or counter; MEAN, STD and MAX (the largest magnitude)
                   are of the constructor's values, NORM of a parameter's gradient after one backward of the loss, or of
                   a buffer after that forward
"""

import math
import sys

import numpy as np
import torch
import torchvision

# At a side of 72 SqueezeNet's pools do round up, which they do not at 64 or 224.
CLASSES, IMAGES, SIDE = 3, 4, 72


def uniform(stream, count):
    """Numbers in [-0.5, 0.5), exact in float32."""
    x = np.arange(count, dtype=np.uint64) * 2654435761 + stream * 40503
    x = (x & 0xFFFFFFFF).astype(np.uint32)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x2C1B3C6D)
    x ^= x >> np.uint32(12)
    x *= np.uint32(0x297A2D39)
    x ^= x >> np.uint32(15)
    return (x >> np.uint32(8)).astype(np.float64) / (1 << 24) - 0.5


def fill(name, stream, tensor):
    u = uniform(stream, tensor.numel())
    if name.endswith("running_var"):
        values = 1 + 0.5 * u
    elif name.endswith("running_mean") or name.endswith("bias"):
        values = 0.2 * u
    elif tensor.dim() == 1:  # BatchNorm's weight
        values = 1 + 0.2 * u
    else:
        values = u * math.sqrt(24 / (tensor.numel() // tensor.shape[0]))
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(values.astype(np.float32)).reshape(tensor.shape))


class Cnn3(torch.nn.Module):
    """Manako's own network, written the way torchvision writes VGG."""

    def __init__(self, num_classes):
        super().__init__()
        layers, channels = [], 3
        for out in (32, 64, 64):
            layers += [torch.nn.Conv2d(channels, out, 3, padding=1), torch.nn.ReLU(True), torch.nn.MaxPool2d(2)]
            channels = out
        self.features = torch.nn.Sequential(*layers)
        self.avgpool = torch.nn.AdaptiveAvgPool2d((4, 4))
        self.classifier = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(1024, 64), torch.nn.ReLU(True), torch.nn.Dropout(),
            torch.nn.Linear(64, num_classes))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)))


def numbers(values):
    return " ".join("%.7g" % v for v in values)


def describe(name):
    torch.manual_seed(1)
    net = Cnn3(CLASSES) if name == "cnn3" else getattr(torchvision.models, name)(num_classes=CLASSES)
    print("network", name, CLASSES)
    parameters = dict(net.named_parameters())
    lines = {}
    for stream, (key, tensor) in enumerate(net.state_dict().items()):
        kind = "parameter" if key in parameters else "buffer" if tensor.is_floating_point() else "counter"
        values = tensor.double()
        lines[key] = "tensor %s %s %s %s" % (
            key, kind, ",".join(map(str, tensor.shape)) or "-",
            numbers([values.mean(), values.std(unbiased=False), values.abs().max()]))
        if kind != "counter":
            fill(key, stream, tensor)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    images = torch.from_numpy(4 * uniform(1000003, IMAGES * 3 * SIDE * SIDE)).float().reshape(IMAGES, 3, SIDE, SIDE)
    net.eval()
    with torch.no_grad():
        print("eval", numbers(net(images).flatten()))
    net.train()
    logits = net(images)
    print("train", numbers(logits.detach().flatten()))
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(IMAGES) % CLASSES)
    print("loss", numbers([loss.item()]))
    loss.backward()
    for key, tensor in net.state_dict().items():
        shown = parameters[key].grad if key in parameters else tensor
        print(lines[key], numbers([shown.double().norm()]) if tensor.is_floating_point() else "0")


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("# torch", torch.__version__, "torchvision", torchvision.__version__, "from make_torchvision.py")
    for network in ("cnn3", "vgg16", "resnet18", "resnet50", "densenet121", "squeezenet1_1", "mobilenet_v3_small"):
        describe(network)
        sys.stdout.flush()
