#!/usr/bin/env python3
"""The lung CNN in PyTorch and in microtome, in turn, on the same processor.

    python3 bench/compare_pytorch.py [--threads 2] [--rounds 5] [--batch 32] [--microtome build/microtome]

Steps compared, at 180 x 180 pixels:
  forward          logits in eval mode, nothing recorded
  input gradient   eval mode, gradient of the summed cross-entropy by the image alone: in microtome on the tape,
                   and traced once as a plan
  training         train mode, mean cross-entropy, Adam

Each round runs microtome's `bench --suite step`, then every PyTorch variant; the table shows medians over rounds,
the ratio to the best PyTorch variant, and its spread. Peak memory is the process's resident maximum in PyTorch
less what was resident before the first step, and the allocator's count in microtome.
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

STEPS = ["forward", "input_gradient", "training"]
OURS = {"forward": "forward", "input_gradient": "input_gradient", "input_gradient_plan": "input_gradient",
        "training": "training"}  # microtome's steps, and what each is held against


def lung_cnn(torch):
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.BatchNorm2d(64, eps=1e-3, momentum=0.01), nn.Flatten(),
        nn.Linear(5184, 64), nn.ReLU(), nn.Linear(64, 5))


def time_variant(variant, step, batch, threads, seconds):
    """Runs in a process of its own, so that its peak memory is its own. Prints one JSON line."""
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = lung_cnn(torch)
    assert sum(p.numel() for p in model.parameters()) == 425541
    x = torch.rand(batch, 3, 180, 180)
    y = torch.randint(0, 5, (batch,))
    loss = torch.nn.CrossEntropyLoss(reduction="mean" if step == "training" else "sum")
    if "channels_last" in variant:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    model.train(step == "training")
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


def microtome_rates(program, batch, threads):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "rows.json")
        subprocess.run([program, "bench", "--suite", "step", "--batch", str(batch), "--threads", str(threads), "--quiet", "--json", out],
                       check=True, stdout=subprocess.DEVNULL)
        with open(out) as file:
            rows = json.load(file)
    rows = rows["rows"] if isinstance(rows, dict) else rows
    return {row["name"].split(" ", 1)[1]: row for row in rows if row["name"].startswith("lung_cnn ")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3, help="how long each PyTorch variant is timed in a round")
    parser.add_argument("--microtome", default="build/microtome")
    parser.add_argument("--compile", action="store_true", help="also torch.compile (needs a C++ compiler; slow to start)")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        return time_variant(options.variant, options.step, options.batch, options.threads, options.seconds)

    variants = ["eager", "channels_last"] + (["compile", "compile channels_last"] if options.compile else [])
    ours = {step: [] for step in OURS}
    theirs = {step: {v: [] for v in variants} for step in STEPS}
    our_memory = {}
    their_memory = {step: {} for step in STEPS}
    version = "?"
    for round_number in range(options.rounds):
        print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr)
        rows = microtome_rates(options.microtome, options.batch, options.threads)
        for step in OURS:
            ours[step].append(rows[step]["images_per_second"])
            our_memory[step] = rows[step]["peak_bytes"]
        for step in STEPS:
            for variant in variants:
                line = subprocess.run(
                    [sys.executable, __file__, "--variant", variant, "--step", step, "--batch", str(options.batch),
                     "--threads", str(options.threads), "--seconds", str(options.seconds)],
                    check=True, capture_output=True, text=True).stdout
                result = json.loads(line.strip().splitlines()[-1])
                theirs[step][variant].append(result["rate"])
                their_memory[step][variant] = min(result["peak_bytes"],
                                                  their_memory[step].get(variant, result["peak_bytes"]))
                version = result["torch"]

    print(f"PyTorch {version}, {options.threads} threads, batch {options.batch}, medians of {options.rounds} rounds\n")
    print("| step | microtome img/s | " + " | ".join(f"{v} img/s" for v in variants) + " | ratio to the best (min - max) |")
    print("|---|---|" + "---|" * len(variants) + "---|")
    for name, step in OURS.items():
        best = max(variants, key=lambda v: statistics.median(theirs[step][v]))
        ratios = [a / b for a, b in zip(ours[name], theirs[step][best])]
        cells = " | ".join(f"{statistics.median(theirs[step][v]):.1f}" for v in variants)
        print(f"| {name.replace('_', ' ')} | {statistics.median(ours[name]):.1f} | {cells} | "
              f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}) |")
    print("\n| step | microtome peak MB | " + " | ".join(f"{v} peak MB" for v in variants) + " |")
    print("|---|---|" + "---|" * len(variants))
    for name, step in OURS.items():
        print(f"| {name.replace('_', ' ')} | {our_memory[name] / 1e6:.0f} | "
              + " | ".join(f"{their_memory[step][v] / 1e6:.0f}" for v in variants) + " |")


if __name__ == "__main__":
    main()
