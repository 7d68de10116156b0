#!/usr/bin/env python3
"""Steps of a network in PyTorch and in microtome, in turn, on the same processor.

    python3 bench/compare_pytorch.py [--arch cnn|resnet50|vit-ti16|vit-b16] [--threads 2] [--rounds 5]
                                     [--microtome build/microtome] [--compile] [--folded]

  forward          logits in eval mode, nothing recorded
  input gradient   eval mode, gradient of the summed cross-entropy by the images alone: in microtome by the plan that
                   attacks use, by the plan with the tape's bits, and on the tape
  training         train mode, mean cross-entropy, Adam

Each round runs microtome's `bench --suite step`, then every PyTorch variant, each in a process of its own; the tables
show medians over rounds, the ratio to the best PyTorch variant, and its spread. Peak memory is the process's resident
maximum in PyTorch less what was resident before the first step, and the allocator's count in microtome.
cnn is the lung study's network at 180 x 180 pixels. resnet50 comes from torchvision, ViTs from timm, at 224 x 224.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

THEIRS = ["forward", "input_gradient", "training"]
OURS = {"forward": "forward", "input_gradient": "input_gradient", "exact_input_gradient": "input_gradient",
        "tape_input_gradient": "input_gradient", "training": "training"}  # and what each is held against


def network(torch, arch):
    nn = torch.nn
    if arch == "cnn":
        return 180, nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.BatchNorm2d(64, eps=1e-3, momentum=0.01), nn.Flatten(),
            nn.Linear(5184, 64), nn.ReLU(), nn.Linear(64, 5))
    if arch == "resnet50":
        import torchvision
        return 224, torchvision.models.resnet50(num_classes=5)
    import timm
    names = {"vit-ti16": "vit_tiny_patch16_224", "vit-s16": "vit_small_patch16_224", "vit-b16": "vit_base_patch16_224"}
    return 224, timm.create_model(names[arch], num_classes=5)


def fold_batch_norm(torch, model):
    """Batch norms behind convolutions folded into their weights, by PyTorch's own fuser; eval mode only."""
    return torch.fx.experimental.optimization.fuse(model)


def time_variant(variant, step, arch, batch, threads, seconds):
    """Runs in a process of its own, so that its peak memory is its own. Prints one JSON line."""
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    size, model = network(torch, arch)
    x = torch.rand(batch, 3, size, size)
    y = torch.randint(0, 5, (batch,))
    loss = torch.nn.CrossEntropyLoss(reduction="mean" if step == "training" else "sum")
    model.train(step == "training")
    if "folded" in variant:
        import torch.fx.experimental.optimization  # noqa: F401
        model = fold_batch_norm(torch, model)
    if "channels_last" in variant:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    if step != "training":
        for p in model.parameters():
            p.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3) if step == "training" else None
    run = torch.compile(model) if "compile" in variant else model

    def once():
        if step == "forward":
            with torch.no_grad():
                run(x)
        elif step == "input_gradient":
            image = x.clone().requires_grad_(True)
            torch.autograd.grad(loss(run(image), y), image)
        else:
            optimizer.zero_grad(set_to_none=True)
            loss(run(x), y).backward()
            optimizer.step()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    once()
    once()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(json.dumps({"rate": batch / statistics.median(times), "peak_bytes": peak, "torch": torch.__version__}))


def microtome_rows(options, steps):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "rows.json")
        subprocess.run([options.microtome, "bench", "--suite", "step", "--arch", options.arch, "--batch",
                        str(options.batch), "--threads", str(options.threads), "--steps", ",".join(steps), "--quiet",
                        "--json", out], check=True, stdout=subprocess.DEVNULL)
        with open(out) as file:
            rows = json.load(file)
    return {row["name"].split(" ", 1)[1]: row for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="cnn", choices=["cnn", "resnet50", "vit-ti16", "vit-s16", "vit-b16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, help="32 for cnn, else 8")
    parser.add_argument("--steps", default=",".join(OURS), help="microtome's steps; PyTorch runs what they are held against")
    parser.add_argument("--seconds", type=float, default=3, help="how long each PyTorch variant is timed in a round")
    parser.add_argument("--microtome", default="build/microtome")
    parser.add_argument("--compile", action="store_true", help="also torch.compile (needs a C++ compiler; slow to start)")
    parser.add_argument("--folded", action="store_true", help="also with batch norm folded into convolutions (eval steps)")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.batch = options.batch or (32 if options.arch == "cnn" else 8)
    if options.variant:
        return time_variant(options.variant, options.step, options.arch, options.batch, options.threads,
                            options.seconds)

    variants = ["eager", "channels_last"]
    if options.folded:
        variants += ["folded channels_last"]
    if options.compile:
        variants += ["compile", "compile channels_last"]
        if options.folded:
            variants += ["folded compile channels_last"]
    our_steps = options.steps.split(",")
    their_steps = [step for step in THEIRS if step in {OURS[s] for s in our_steps}]
    ours = {step: [] for step in our_steps}
    theirs = {step: {v: [] for v in variants if not ("folded" in v and step == "training")} for step in their_steps}
    our_memory = {}
    their_memory = {step: {} for step in their_steps}
    version = "?"
    for round_number in range(options.rounds):
        print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr)
        rows = microtome_rows(options, our_steps)
        for step in our_steps:
            ours[step].append(rows[step]["images_per_second"])
            our_memory[step] = rows[step]["peak_bytes"]
        for step in their_steps:
            for variant in theirs[step]:
                line = subprocess.run(
                    [sys.executable, __file__, "--variant", variant, "--step", step, "--arch", options.arch, "--batch",
                     str(options.batch), "--threads", str(options.threads), "--seconds", str(options.seconds)],
                    check=True, capture_output=True, text=True).stdout
                result = json.loads(line.strip().splitlines()[-1])
                theirs[step][variant].append(result["rate"])
                their_memory[step][variant] = min(result["peak_bytes"],
                                                  their_memory[step].get(variant, result["peak_bytes"]))
                version = result["torch"]

    def cell(values, form):
        return form(values) if values is not None else ""

    print(f"{options.arch}: PyTorch {version}, {options.threads} threads, batch {options.batch}, medians of "
          f"{options.rounds} rounds\n")
    print("| step | microtome img/s | " + " | ".join(f"{v} img/s" for v in variants) + " | ratio to the best (min - max) |")
    print("|---|---|" + "---|" * len(variants) + "---|")
    for name in our_steps:
        rates = theirs[OURS[name]]
        best = max(rates, key=lambda v: statistics.median(rates[v]))
        ratios = [a / b for a, b in zip(ours[name], rates[best])]
        cells = " | ".join(cell(rates.get(v), lambda r: f"{statistics.median(r):.1f}") for v in variants)
        print(f"| {name.replace('_', ' ')} | {statistics.median(ours[name]):.1f} | {cells} | "
              f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}) |")
    print("\n| step | microtome peak MB | " + " | ".join(f"{v} peak MB" for v in variants) + " |")
    print("|---|---|" + "---|" * len(variants))
    for name in our_steps:
        memory = their_memory[OURS[name]]
        print(f"| {name.replace('_', ' ')} | {our_memory[name] / 1e6:.0f} | "
              + " | ".join(cell(memory.get(v), lambda m: f"{m / 1e6:.0f}") for v in variants) + " |")


if __name__ == "__main__":
    main()
