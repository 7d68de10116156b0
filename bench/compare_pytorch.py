#!/usr/bin/env python3
"""Steps of a network in PyTorch and in microtome, in turn, on the same processor or the same GPU.

    python3 bench/compare_pytorch.py [--arch cnn|resnet50|vit-ti16|vit-b16] [--threads 2] [--rounds 5]
                                     [--device cpu|cuda] [--precision f32|tf32|bf16]
                                     [--microtome build/microtome] [--compile] [--folded]

  forward          logits in eval mode, nothing recorded
  input gradient   eval mode, gradient of the summed cross-entropy by the images alone: in microtome by the plan that
                   attacks use, by the plan with the tape's bits, and on the tape
  attack           PGD with 10 steps, from images to images
  training         train mode, mean cross-entropy, Adam

Each round runs microtome's `bench --suite step`, then every PyTorch variant; the tables show medians over rounds, the
ratio to the best PyTorch variant, and its spread. cnn is the lung study's network at 180 x 180 pixels. resnet50 comes
from torchvision, ViTs from timm, at 224 x 224.

On the CPU every PyTorch variant has a process of its own. Peak memory is that process's resident maximum less what was
resident before the first step, and the allocator's count in microtome.

On a GPU the variants share a process; peak memory is what either allocator counted. tf32 lets PyTorch use TF32 in
products and convolutions, bf16 is its autocast. The graph variants capture a step once and replay it as a CUDA graph
(an attack: each of its steps), which is PyTorch's own answer to small kernels.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

THEIRS = ["forward", "input_gradient", "attack", "training"]
OURS = {"forward": "forward", "input_gradient": "input_gradient", "exact_input_gradient": "input_gradient",
        "tape_input_gradient": "input_gradient", "attack": "attack",
        "training": "training"}  # and what each is held against
ATTACK_STEPS = 10


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
    import torch.fx.experimental.optimization
    return torch.fx.experimental.optimization.fuse(model)


def variants_of(options):
    """What PyTorch is run as: words that Variant understands."""
    variants = ["eager", "channels_last"]
    if options.folded:
        variants += ["folded channels_last"]
    if options.device == "cuda":
        variants += ["graph channels_last"]
        if options.folded:
            variants += ["graph folded channels_last"]
    if options.compile:
        variants += ["compile", "compile channels_last"]
        if options.folded:
            variants += ["folded compile channels_last"]
    return variants


class Variant:
    """One step of one network, run in one way."""

    def __init__(self, torch, words, step, options):
        self.torch, self.words, self.step, self.options = torch, words.split(), step, options
        training = step == "training"
        torch.manual_seed(0)
        size, model = network(torch, options.arch)
        model.train(training)
        if "folded" in self.words:
            model = fold_batch_norm(torch, model)
        self.x = torch.rand(options.batch, 3, size, size).to(options.device)
        self.y = torch.randint(0, 5, (options.batch,)).to(options.device)
        model = model.to(options.device)
        if "channels_last" in self.words:
            model = model.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        for p in model.parameters():
            p.requires_grad_(training)
        self.optimizer = None
        if training:  # capturable: its step count is on the GPU, as a graph needs it
            more = {"capturable": True} if "graph" in self.words else {}
            self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **more)
        self.model = torch.compile(model) if "compile" in self.words else model
        self.loss = torch.nn.CrossEntropyLoss(reduction="mean" if training else "sum")
        self.image = self.x.clone()  # that an attack moves
        self.unit = self.attack_step if step == "attack" else self.once  # what a graph holds
        self.replay = self.captured() if "graph" in self.words else None

    def logits(self, x):
        autocast = contextlib.nullcontext()
        if self.options.precision == "bf16":
            autocast = self.torch.autocast(self.options.device, dtype=self.torch.bfloat16)
        with autocast:
            return self.model(x)

    def gradient(self, x):
        image = x.detach().requires_grad_(True)
        return self.torch.autograd.grad(self.loss(self.logits(image).float(), self.y), image)[0]

    def once(self):
        if self.step == "forward":
            with self.torch.no_grad():
                return self.logits(self.x)
        if self.step == "input_gradient":
            return self.gradient(self.x)
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.logits(self.x).float(), self.y).backward()
        self.optimizer.step()

    def attack_step(self):
        epsilon, length = 8 / 255, 2.5 * 8 / 255 / ATTACK_STEPS
        moved = self.image + length * self.gradient(self.image).sign()
        moved = self.torch.minimum(self.torch.maximum(moved, self.x - epsilon), self.x + epsilon)
        self.image.copy_(moved.clamp_(0, 1))

    def captured(self):
        """The unit as a CUDA graph, after a few runs on a side stream, as PyTorch's documentation wants it."""
        torch = self.torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.unit()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.kept = self.unit()
        return graph.replay

    def run(self):
        work = self.replay or self.unit
        if self.step != "attack":
            return work()
        self.image.copy_(self.x)
        for _ in range(ATTACK_STEPS):
            work()

    def finish(self):
        if self.options.device == "cuda":
            self.torch.cuda.synchronize()

    def timed(self):
        """Images a second."""
        self.run()
        self.run()
        self.finish()
        times = []
        end = time.perf_counter() + self.options.seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            self.run()
            self.finish()
            times.append(time.perf_counter() - start)
        return self.options.batch / statistics.median(times)


def time_variants(options, variants, steps):
    """Prints a JSON line for each step and variant that there is."""
    import torch
    torch.set_num_threads(options.threads)
    on_gpu = options.device == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision != "f32"
    torch.backends.cudnn.benchmark = on_gpu  # it may take the fastest algorithm
    for step in steps:
        for words in variants:
            if on_gpu:
                torch.cuda.empty_cache()
                before = torch.cuda.memory_allocated()
                torch.cuda.reset_peak_memory_stats()
            try:
                if on_gpu:
                    variant = Variant(torch, words, step, options)
                    rate = variant.timed()
                    peak = torch.cuda.max_memory_allocated() - before
                else:
                    variant = Variant(torch, words, step, options)
                    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                    rate = variant.timed()
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
            except Exception as error:  # one variant that PyTorch cannot do is no reason to lose the others
                print(json.dumps({"step": step, "variant": words, "error": str(error).splitlines()[0][:200]}))
                continue
            del variant
            print(json.dumps({"step": step, "variant": words, "rate": rate, "peak_bytes": peak,
                              "torch": torch.__version__}), flush=True)


def their_rows(options, variants, steps):
    """One dictionary a step and variant. On the CPU each has a process of its own, so that its peak memory is too."""
    common = ["--arch", options.arch, "--batch", str(options.batch), "--threads", str(options.threads), "--seconds",
              str(options.seconds), "--device", options.device, "--precision", options.precision]
    pairs = [([s], [v]) for s in steps for v in variants if there_is(v, s)]
    if options.device == "cuda":
        pairs = [([s], [v for v in variants if there_is(v, s)]) for s in steps]
    for some_steps, some_variants in pairs:
        done = subprocess.run([sys.executable, __file__, "--variants", ",".join(some_variants), "--their-steps",
                               ",".join(some_steps)] + common, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def there_is(variant, step):
    return not ("folded" in variant and step == "training")


def our_rows(options, steps):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "rows.json")
        command = [options.microtome, "bench", "--suite", "step", "--arch", options.arch, "--batch", str(options.batch),
                   "--threads", str(options.threads), "--steps", ",".join(steps), "--quiet", "--json", out]
        if options.device != "cpu":
            command += ["--device", options.device]
        if options.precision != "f32":
            command += ["--precision", options.precision]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(out) as file:
            rows = json.load(file)
    return {row["name"].split(" ", 1)[1]: row for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="cnn", choices=["cnn", "resnet50", "vit-ti16", "vit-s16", "vit-b16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"], help="on a GPU")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, help="32 for cnn, else 8")
    parser.add_argument("--steps", default=",".join(OURS), help="microtome's steps; PyTorch runs what they are held against")
    parser.add_argument("--seconds", type=float, default=3, help="how long each PyTorch variant is timed in a round")
    parser.add_argument("--microtome", default="build/microtome")
    parser.add_argument("--compile", action="store_true", help="also torch.compile (needs a C++ compiler; slow to start)")
    parser.add_argument("--folded", action="store_true", help="also with batch norm folded into convolutions (eval steps)")
    parser.add_argument("--variants", help=argparse.SUPPRESS)
    parser.add_argument("--their-steps", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.batch = options.batch or (32 if options.arch == "cnn" else 8)
    if options.precision != "f32" and options.device == "cpu":
        parser.error("expected --precision f32 on the CPU")
    if options.variants:
        return time_variants(options, options.variants.split(","), options.their_steps.split(","))

    variants = variants_of(options)
    our_steps = [s for s in options.steps.split(",") if options.device == "cpu" or s != "exact_input_gradient"]
    their_steps = [step for step in THEIRS if step in {OURS[s] for s in our_steps}]
    ours = {step: [] for step in our_steps}
    theirs = {step: {v: [] for v in variants if there_is(v, step)} for step in their_steps}
    our_memory = {}
    their_memory = {step: {} for step in their_steps}
    version = "?"
    for round_number in range(options.rounds):
        print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr)
        rows = our_rows(options, our_steps)
        for step in our_steps:
            ours[step].append(rows[step]["images_per_second"])
            our_memory[step] = rows[step]["peak_bytes"]
        for row in their_rows(options, variants, their_steps):
            step, variant = row["step"], row["variant"]
            if "error" in row:
                print(f"PyTorch, {step}, {variant}: {row['error']}", file=sys.stderr)
                theirs[step].pop(variant, None)
            elif variant in theirs[step]:
                theirs[step][variant].append(row["rate"])
                their_memory[step][variant] = min(row["peak_bytes"], their_memory[step].get(variant, row["peak_bytes"]))
                version = row["torch"]

    def cell(values, form):
        return form(values) if values is not None else ""

    where = f"{options.threads} threads" if options.device == "cpu" else f"{options.device}, {options.precision}"
    print(f"{options.arch}: PyTorch {version}, {where}, batch {options.batch}, medians of {options.rounds} rounds\n")
    print("| step | microtome img/s | " + " | ".join(f"{v} img/s" for v in variants) + " | ratio to the best (min - max) |")
    print("|---|---|" + "---|" * len(variants) + "---|")
    for name in our_steps:
        rates = theirs[OURS[name]]
        cells = " | ".join(cell(rates.get(v), lambda r: f"{statistics.median(r):.1f}") for v in variants)
        best = max(rates, key=lambda v: statistics.median(rates[v]), default=None)
        ratios = [a / b for a, b in zip(ours[name], rates[best])] if best else []
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})" if ratios else ""
        print(f"| {name.replace('_', ' ')} | {statistics.median(ours[name]):.1f} | {cells} | {ratio} |")
    print("\n| step | microtome peak MB | " + " | ".join(f"{v} peak MB" for v in variants) + " |")
    print("|---|---|" + "---|" * len(variants))
    for name in our_steps:
        memory = their_memory[OURS[name]]
        print(f"| {name.replace('_', ' ')} | {our_memory[name] / 1e6:.0f} | "
              + " | ".join(cell(memory.get(v), lambda m: f"{m / 1e6:.0f}") for v in variants) + " |")


if __name__ == "__main__":
    main()
