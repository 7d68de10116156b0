#!/usr/bin/env python3
"""Compares attacks with torchattacks on the same weights and images.

    pip install torch torchattacks
    tests/parity/attacks_torch.py [build/microtome_tests]

A pixel whose gradient is zero up to rounding may take its step either way, so single values may differ by a
few steps; what is asked is that hardly any do, and that both fool the same images.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

import torch
import torchattacks

TYPES = {"F32": torch.float32, "I64": torch.int64}


def read_tensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data[begin:end], dtype=TYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


class Mlp(torch.nn.Module):
    """Images (N, C, H, W), as torchattacks and the weights have them."""

    def __init__(self, tensors):
        super().__init__()
        for name in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"):
            self.register_buffer(name.replace(".", "_"), tensors[name])

    def forward(self, x):
        y = x.flatten(1)
        y = torch.relu(torch.nn.functional.linear(y, self.fc1_weight, self.fc1_bias))
        return torch.nn.functional.linear(y, self.fc2_weight, self.fc2_bias)


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "build/microtome_tests"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "[.attacks-parity]"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "MICROTOME_PARITY": folder})
        tensors = read_tensors(os.path.join(folder, "attacks.safetensors"))
    model = Mlp(tensors).eval()
    images = tensors["images"].permute(0, 3, 1, 2).contiguous()
    labels = tensors["labels"]
    with torch.no_grad():
        error = (model(images) - tensors["logits"]).abs().max().item()
    print(f"logits differ by at most {error:.1e}")
    assert error < 1e-4, "not the same model"

    linf = dict(eps=8 / 255, alpha=2 / 255, steps=10)
    attacks = {
        "fgsm": torchattacks.FGSM(model, eps=8 / 255),
        "bim": torchattacks.BIM(model, **linf),
        "pgd": torchattacks.PGD(model, random_start=False, **linf),
        "mi-fgsm": torchattacks.MIFGSM(model, decay=1.0, **linf),
        "pgd-l2": torchattacks.PGDL2(model, eps=0.5, alpha=0.1, steps=10, random_start=False),
    }
    failed = False
    for name, attack in attacks.items():
        ours = tensors[name].permute(0, 3, 1, 2)
        theirs = attack(images, labels).detach()
        differ = ((ours - theirs).abs() > 1e-5).float().mean().item()
        with torch.no_grad():
            fooled = [(model(x).argmax(1) != labels) for x in (ours, theirs)]
        same = (fooled[0] == fooled[1]).sum().item()
        good = differ < 1e-3 and same == len(labels)
        failed |= not good
        print(f"{name:8} values that differ {differ:.2e}, at most by {(ours - theirs).abs().max():.1e}; "
              f"fooled {fooled[0].sum()} and {fooled[1].sum()} of {len(labels)}, the same in {same}"
              f"{'' if good else '  FAIL'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
