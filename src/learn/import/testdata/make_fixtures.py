#!/usr/bin/env python3
"""Writes the files that the import tests read, with PyTorch as the oracle (made with PyTorch 1.13).

    python3 make_fixtures.py    # in this folder; needs torch

Each file NAME has its expected tensors in expected.json: name, shape, values as PyTorch converts them to float32, and
whether they are integers. Files that begin with "bad_" must be refused and are not in it.
"""
import collections
import io
import json
import os
import pickle
import struct
import zipfile

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
expected = {}


def flat(tensor):
    # Text, so that infinities and NaN survive JSON; nine digits tell all float32 apart.
    return ["%.9g" % x for x in tensor.detach().float().contiguous().flatten().tolist()]


def expect(name, tensors):
    expected[name] = [
        {"name": key, "shape": list(t.shape), "values": flat(t),
         "is_integer": not t.dtype.is_floating_point}
        for key, t in tensors.items()]


def save(name, saved, tensors=None, **options):
    for suffix, use_zip in ((".zip.pt", True), (".legacy.pt", False)):
        torch.save(saved, os.path.join(HERE, name + suffix),
                   _use_new_zipfile_serialization=use_zip, **options)
        if tensors is not None:
            expect(name + suffix, tensors)


def types():
    edge = [0.0, -0.0, 1.0, -2.5, 65504.0, 6.1e-5, 5.96e-8, 1e-7, float("inf"), float("-inf"),
            float("nan"), 0.1, 1 / 3]
    d = collections.OrderedDict()
    d["float16"] = torch.tensor(edge, dtype=torch.float16)
    d["bfloat16"] = torch.tensor(edge + [3e38, 1e-40], dtype=torch.bfloat16)
    d["float32"] = torch.tensor(edge + [3.4e38, 1e-45])
    d["float64"] = torch.tensor(edge + [1e300, -1e300, 1 + 2.0**-24, 1 + 3 * 2.0**-24],
                                dtype=torch.float64)
    d["int64"] = torch.tensor([0, -1, 2**53 + 1, -(2**63), 2**63 - 1, 16777217])
    d["int32"] = torch.tensor([0, -1, 2**31 - 1, -(2**31)], dtype=torch.int32)
    d["int16"] = torch.tensor([0, -1, 32767, -32768], dtype=torch.int16)
    d["int8"] = torch.tensor([0, -1, 127, -128], dtype=torch.int8)
    d["uint8"] = torch.tensor([0, 1, 128, 255], dtype=torch.uint8)
    d["bool"] = torch.tensor([True, False, True])
    d["scalar"] = torch.tensor(7)
    d["empty"] = torch.zeros(3, 0, 2)
    return d


def views():
    base = torch.arange(60, dtype=torch.float32)
    block = base.reshape(3, 4, 5)
    d = collections.OrderedDict()
    d["whole"] = block
    d["transposed"] = block.permute(2, 0, 1)
    d["slice"] = block[1:, 1:3, ::2]
    d["column"] = block[:, 2, 3]
    d["offset"] = base[17:23]
    d["expanded"] = base[3:5].reshape(2, 1).expand(2, 6)
    d["diagonal"] = base.as_strided((4, 2), (3, 2), 5)
    d["one_axis"] = base.as_strided((1, 3, 1), (1000, 2, 7), 1)
    d["half_view"] = base.half().reshape(6, 10).t()[2:5]
    return d


def model():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2),
                               torch.nn.Flatten(), torch.nn.Linear(2, 2))


def safetensors(name, tensors, header=None):
    codes = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32",
             torch.float64: "F64", torch.int64: "I64", torch.int32: "I32", torch.int16: "I16",
             torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
    entries, data = {"__metadata__": {"made_by": "make_fixtures.py"}}, b""
    for key, t in tensors.items():
        raw = bytes(t.contiguous().flatten().view(torch.uint8).tolist()) if t.numel() and t.dim() \
            else struct.pack("<q", int(t)) if t.numel() else b""
        entries[key] = {"dtype": codes[t.dtype], "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    expect(name, tensors)


class Rebuilt:
    """A tensor whose storage is a view of another: torch.save has long stopped writing these, but reads them."""

    def __reduce__(self):
        return (torch._utils._rebuild_tensor_v2,
                (View(), 1, (2,), (1,), False, collections.OrderedDict()))


class View:
    pass


class ViewPickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, View):
            return "storage", torch.FloatStorage, "root", "cpu", 6, ("view", 2, 3)
        return None


def legacy_view(name):
    path = os.path.join(HERE, name)
    with open(path, "wb") as f:
        pickle.dump(0x1950A86A20F9469CFC6C, f, protocol=2)
        pickle.dump(1001, f, protocol=2)
        pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, f,
                    protocol=2)
        ViewPickler(f, protocol=2).dump({"v": Rebuilt()})
        pickle.dump(["root"], f, protocol=2)
        f.write(struct.pack("<q6f", 6, *range(6)))
    expect(name, torch.load(path))


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/manako_was_here",)


def main():
    save("types", types(), types())
    save("views", views(), views())
    net = model()
    save("model", net.state_dict(), net.state_dict())
    save("parallel", torch.nn.DataParallel(net).state_dict(), net.state_dict())
    parameters = collections.OrderedDict(net.named_parameters())
    save("parameters", parameters, parameters)
    small = collections.OrderedDict(w=torch.ones(2, 3), b=torch.arange(2.0))
    save("small", small, small)
    save("plain_dict", dict(small), small)
    save("protocol4", small, small, pickle_protocol=4)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    net(torch.ones(2, 1, 3, 3)).sum().backward()
    optimiser.step()
    save("checkpoint", {"epoch": 3, "best": 0.5, "note": "x", "optimizer": optimiser.state_dict(),
                        "state_dict": net.state_dict()}, net.state_dict())
    save("under_model", {"model": small, "args": {"lr": 0.1, "steps": [1, 2]}}, small)
    legacy_view("view_of_storage.legacy.pt")
    safetensors("types.safetensors", types())
    safetensors("small.safetensors", small)

    save("bad_nested", {"a": {"b": torch.ones(1)}})
    save("bad_number", {"a": torch.ones(1), "epoch": 3})
    save("bad_list", [torch.ones(1)])
    save("bad_evil", {"a": torch.ones(1), "b": Evil()})
    # Not in the legacy format too, which would put the class's source text in the file.
    torch.save(torch.nn.Linear(1, 1), os.path.join(HERE, "bad_module.zip.pt"))
    script = torch.jit.ScriptModule()
    script.define("def forward(self, x):\n    return x + 1\n")
    torch.jit.save(script, os.path.join(HERE, "bad_torchscript.pt"))
    # The same archive, compressed: what a re-packing tool would do.
    out = io.BytesIO()
    with zipfile.ZipFile(os.path.join(HERE, "small.zip.pt")) as source, \
            zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info))
    with open(os.path.join(HERE, "bad_deflated.pt"), "wb") as f:
        f.write(out.getvalue())
    # And stored, with Python's ZIP64 records: what a file beyond 4 GB has.
    out = io.BytesIO()
    with zipfile.ZipFile(os.path.join(HERE, "small.zip.pt")) as source, \
            zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for info in source.infolist():
            with target.open(zipfile.ZipInfo(info.filename), "w", force_zip64=True) as f:
                f.write(source.read(info))
    with open(os.path.join(HERE, "repacked.zip.pt"), "wb") as f:
        f.write(out.getvalue())
    expect("repacked.zip.pt", small)
    with open(os.path.join(HERE, "bad_plain_pickle.pt"), "wb") as f:
        pickle.dump({"a": 1}, f, protocol=2)
    with open(os.path.join(HERE, "expected.json"), "w") as f:
        json.dump(expected, f, separators=(",", ":"), sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main()
