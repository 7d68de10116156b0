#!/usr/bin/env python3
"""Whole processes: load a model, attack images by PGD, write what came of it; in microtome and in PyTorch.

    python3 bench/compare_process.py [--images 100] [--threads 2] [--rounds 3] [--microtome build/microtome]

The model is the lung study's network at 180 x 180 pixels, its weights those of one short training by microtome on its
built-in tissue, read from the same file by both; the images are tissue as PNG files. Attacks: PGD with 10 steps at 2/255,
step 2/255 / 4, one random start, every step on every image; in PyTorch by torchattacks, by Foolbox where it is installed,
and by a loop written for the purpose, in the memory layout channels_last, batches of 32.

  attack           wall time of the process and its peak resident memory
  first gradient   the same attack by one step (FGSM) on one image: what it takes to start

Peak memory is the process's resident maximum; what is resident before the first step is part of it, and is printed for
the PyTorch processes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

EPSILON, STEPS = 2 / 255, 10


def run_measured(command, env, allowed=(0,)):
    """Seconds, and peak resident bytes of the process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allowed:
        sys.exit(f"{command}: {error.decode()}")
    return seconds, usage.ru_maxrss * 1024


def read_weights(path, torch):
    """A safetensors file, by hand: a length, JSON, numbers."""
    import numpy
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    return {name: torch.from_numpy(numpy.frombuffer(data[slice(*entry["data_offsets"])], "float32").reshape(entry["shape"]).copy())
            for name, entry in header.items() if name != "__metadata__"}


def in_pytorch(kind, model_file, folder, count, threads, steps, out):
    import resource

    import numpy
    import torch
    from PIL import Image
    torch.set_num_threads(threads)
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
            self.conv3, self.conv4 = nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 3)
            self.norm = nn.BatchNorm2d(64, eps=1e-3)
            self.fc1, self.fc2 = nn.Linear(5184, 64), nn.Linear(64, 5)

        def forward(self, x):
            for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
                x = torch.max_pool2d(torch.relu(conv(x)), 2)
            return self.fc2(torch.relu(self.fc1(self.norm(x).flatten(1))))

    model = Net().eval().to(memory_format=torch.channels_last)
    model.load_state_dict(read_weights(model_file, torch), strict=False)
    for p in model.parameters():
        p.requires_grad_(False)
    files = sorted((label, os.path.join(folder, name, f)) for label, name in enumerate(sorted(os.listdir(folder)))
                   if os.path.isdir(os.path.join(folder, name)) for f in os.listdir(os.path.join(folder, name)))[:count]
    x = torch.stack([torch.from_numpy(numpy.asarray(Image.open(f).convert("RGB"), "float32") / 255).permute(2, 0, 1)
                     for _, f in files]).contiguous(memory_format=torch.channels_last)
    y = torch.tensor([label for label, _ in files])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def loop(x, y):
        adversarial = (x + torch.empty_like(x).uniform_(-EPSILON, EPSILON)).clamp(0, 1)
        for _ in range(steps):
            adversarial.requires_grad_(True)
            g, = torch.autograd.grad(nn.functional.cross_entropy(model(adversarial), y, reduction="sum"), adversarial)
            adversarial = adversarial.detach() + EPSILON / 4 * g.sign()
            adversarial = (x + (adversarial - x).clamp(-EPSILON, EPSILON)).clamp(0, 1)
        return adversarial

    if kind == "torchattacks":
        import torchattacks
        attack = torchattacks.PGD(model, eps=EPSILON, alpha=EPSILON / 4, steps=steps)
    elif kind == "foolbox":
        import foolbox
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        pgd = foolbox.attacks.LinfPGD(abs_stepsize=EPSILON / 4, steps=steps)

        def attack(x, y):
            return pgd(wrapped, x, y, epsilons=EPSILON)[1]
    else:
        attack = loop
    right = 0
    for begin in range(0, len(x), 32):
        images, labels = x[begin:begin + 32], y[begin:begin + 32]
        adversarial = attack(images, labels)
        with torch.no_grad():
            right += (model(adversarial).argmax(1) == labels).sum().item()
    with open(out, "w") as file:
        json.dump({"n": len(x), "n_correct": right, "resident_before": before}, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--microtome", default="build/microtome")
    parser.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, model, data, count, steps, out = options.worker
        return in_pytorch(kind, model, data, int(count), options.threads, int(steps), out)

    env = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    kinds = ["loop", "torchattacks", "foolbox"]
    for kind in list(kinds):
        if kind != "loop" and subprocess.run([sys.executable, "-c", f"import {kind}"], capture_output=True).returncode:
            kinds.remove(kind)
    with tempfile.TemporaryDirectory() as folder:
        drawn, data, model, run = (os.path.join(folder, name) for name in ("drawn", "tissue", "model.safetensors", "run"))
        per_class = -(-options.images // 5)
        quiet = dict(env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([options.microtome, "data", "synth", "--out", drawn, "--per-class", str(per_class), "--size", "180"], **quiet)
        subprocess.run([options.microtome, "train", "--data", drawn, "--arch", "cnn", "--epochs", "1", "--out", run], **quiet)
        # away from the split, and the split's folders in one: all images are judged
        os.rename(os.path.join(run, "model.safetensors"), model)
        for part in ("train", "val", "test"):
            for name in os.listdir(os.path.join(drawn, part)):
                os.makedirs(os.path.join(data, name), exist_ok=True)
                for file in os.listdir(os.path.join(drawn, part, name)):
                    os.rename(os.path.join(drawn, part, name, file), os.path.join(data, name, f"{part}-{file}"))

        def ours(attack, images):
            return [options.microtome, "attack", "--model", model, "--data", data, "--n", str(images), "--attack", attack,
                    "--eps", "2/255", "--threads", str(options.threads), "--json", os.path.join(folder, "ours.json")] + (
                        ["--steps", str(STEPS)] if attack == "pgd" else [])

        def theirs(kind, steps, images):
            return [sys.executable, os.path.abspath(__file__), "--threads", str(options.threads), "--worker", kind, model, data,
                    str(images), str(steps), os.path.join(folder, f"{kind}.json")]

        rows = {f"PGD-{STEPS} on {options.images} images": (ours("pgd", options.images), {k: theirs(k, STEPS, options.images) for k in kinds}),
                "first gradient": (ours("fgsm", 1), {"loop": theirs("loop", 1, 1)})}
        print(f"{options.threads} threads, medians of {options.rounds} rounds\n")
        print("| process | program | seconds | peak MB | seconds, microtome's = 1 | memory, microtome's = 1 |")
        print("|---|---|---|---|---|---|")
        for name, (mine, others) in rows.items():
            figures = {"microtome": [], **{k: [] for k in others}}
            for _ in range(options.rounds):
                figures["microtome"].append(run_measured(mine, env, allowed=(0, 1)))  # 1: a rail failed on this toy model
                for kind, command in others.items():
                    figures[kind].append(run_measured(command, env))
            medians = {k: [statistics.median(v[i] for v in runs) for i in range(2)] for k, runs in figures.items()}
            base = medians["microtome"]
            for kind, (seconds, peak) in medians.items():
                program = kind if kind == "microtome" else f"PyTorch, {kind}"
                print(f"| {name} | {program} | {seconds:.2f} | {peak / 1e6:.0f} | {seconds / base[0]:.1f} | {peak / base[1]:.1f} |")
        for kind in kinds:
            with open(os.path.join(folder, f"{kind}.json")) as file:
                result = json.load(file)
            print(f"\nPyTorch, {kind}: {result['resident_before'] / 1e6:.0f} MB resident before the first step", end="")
        print()


if __name__ == "__main__":
    main()
