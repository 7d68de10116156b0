#!/usr/bin/env python3
"""Compares networks, their gradients, optimizers and files with PyTorch.

    pip install torch torchvision timm safetensors
    tests/parity/models_torch.py [build/microtome_tests [WORDS]]
    tests/parity/models_torch.py --write-fixtures     # what `make test` compares with, tests/nn/fixtures
    tests/parity/models_torch.py --find-draws         # which images to take; see below

With words, only the jobs whose names contain one of them, and the files only for the word "files".

The same networks get the same weights on both sides, by a formula of name and place. The truth is PyTorch in f64;
our error in f32 may be at most twice that of PyTorch in f32. Errors are root mean squares over all elements, each
tensor in units of its own root mean square. Then files: PyTorch writes weights that we load, in every format, and
loads what we wrote.

Where a number before a ReLU is zero but for roundings, they decide which side is taken, and the gradient jumps: of a
million such numbers some always are. So gradients are compared for draws of the images that keep all of them far from
it, in units of the error that PyTorch in f32 makes there: the best of KINK_DRAWS. For some jobs there is none: ten
steps through a network with ReLU, deep networks with batch norm in train mode, 224 pixels. There the larger of the two
errors is a matter of luck, ours in one draw and PyTorch's in the next; it must not be ours in all DRAWS of them. The
same networks run in f64 on both sides as well, where kinks are met a billion times less often: our error beside
PyTorch's f64 must be below MOST_IN_DOUBLE, so that no mistake can hide behind luck.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import safetensors.torch
import timm
import torch
import torchvision

# eval: logits of LOGITS_BATCH images, and gradients of the first `batch` of them. weights: gradients of the weights.
# train: the same with batch norm in train mode. steps: the weights after ten steps of each optimizer.
LOGITS_BATCH = 8
DRAWS = 9
NO_DROPOUT = {"dropout": 0}
SMALL_VGG = {"hidden": 64, **NO_DROPOUT}
JOBS = [
    dict(arch="resnet18", mode="eval", size=33, batch=1, draws=[117]),
    dict(arch="resnet18", mode="train", size=33, batch=4, draws=[168]),
    dict(arch="resnet50", mode="eval", size=33, batch=1, draws=[111]),
    dict(arch="resnet50", mode="weights", size=33, batch=1, draws=[111]),
    dict(arch="vit-ti16", mode="eval", size=64, batch=2, draws=[0]),
    dict(arch="vit-ti16", mode="train", size=64, batch=2, draws=[0]),
    dict(arch="vit-ti16", mode="steps", size=64, batch=2, draws=[0]),
    dict(arch="vgg16", mode="eval", size=33, batch=1, draws=[99], numbers=SMALL_VGG),
    dict(arch="vgg16", mode="weights", size=33, batch=1, draws=[99], numbers=SMALL_VGG),
    dict(arch="densenet121", mode="eval", size=40, batch=1, draws=[26]),
    dict(arch="densenet121", mode="weights", size=40, batch=1, draws=[26]),
    dict(arch="mobilenetv2", mode="eval", size=33, batch=1, draws=[106], numbers=NO_DROPOUT),
    dict(arch="mobilenetv2", mode="weights", size=33, batch=1, draws=[106], numbers=NO_DROPOUT),
    # In f64 on both sides, where next to nothing is left to luck: the errors must be those of the order of sums.
    dict(arch="mobilenetv2", mode="train", size=40, batch=4, draws=[0], numbers=NO_DROPOUT, dtype="f64"),
    # Too much for `make test`.
    dict(arch="densenet121", mode="train", size=40, batch=4, draws=[0], dtype="f64", long=True),
    dict(arch="resnet50", mode="train", size=40, batch=4, draws=[0], dtype="f64", long=True),
    dict(arch="mobilenetv2", mode="train", size=64, batch=4, draws=[1, 2, 3], numbers=NO_DROPOUT, dtype="f64", long=True),
    dict(arch="densenet121", mode="train", size=64, batch=4, draws=[1, 2, 3], dtype="f64", long=True),
    dict(arch="resnet50", mode="train", size=64, batch=4, draws=[1, 2, 3], dtype="f64", long=True),
    dict(arch="vit-ti16", mode="train", size=64, batch=4, draws=[1, 2, 3], dtype="f64", long=True),
    dict(arch="resnet50", mode="eval", size=64, batch=1, draws=[1, 2, 3], dtype="f64", long=True),
    dict(arch="resnet50", mode="train", size=40, batch=4, draws=list(range(DRAWS)), long=True),
    dict(arch="densenet121", mode="train", size=40, batch=4, draws=list(range(DRAWS)), long=True),
    dict(arch="mobilenetv2", mode="train", size=40, batch=4, draws=list(range(DRAWS)), numbers=NO_DROPOUT, long=True),
    dict(arch="resnet18", mode="steps", size=33, batch=4, draws=list(range(DRAWS)), long=True),
    dict(arch="resnet50", mode="eval", size=224, batch=1, draws=list(range(DRAWS)), long=True),
    dict(arch="vit-b16", mode="eval", size=224, batch=1, draws=[0], long=True),
]
for job in JOBS:
    job.setdefault("numbers", {})
    job["name"] = f"{job['arch']}-{job['size']}-{job['mode']}" + ("-f64" if "dtype" in job else "")
MOST_IN_DOUBLE = 1e-9
KINK_DRAWS = 200
CLASSES = 7
STEPS = 10
OPTIMIZERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.001, momentum=0.9, weight_decay=1e-4),
    "adam": lambda weights: torch.optim.Adam(weights, lr=1e-4),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=1e-4, weight_decay=0.05),
}
WEIGHT_SAMPLES = 2  # of each parameter, in the fixtures
PIXEL_SAMPLES = 256
FIXTURES = os.path.join(os.path.dirname(__file__), "..", "nn", "fixtures")


def network(name, size, classes):
    if name.startswith("vit-"):
        kind = {"ti": "tiny", "s": "small", "b": "base", "l": "large"}[name[4:-2]]
        return timm.create_model(f"vit_{kind}_patch{name[-2:]}_224", img_size=size, num_classes=classes)
    if name == "vgg16":
        model = torchvision.models.vgg16(num_classes=classes)
        if size < 224:
            model.classifier = torch.nn.Sequential(
                torch.nn.Linear(25088, 64), torch.nn.ReLU(), torch.nn.Identity(),
                torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Identity(), torch.nn.Linear(64, classes))
        return model
    model = getattr(torchvision.models, name.replace("-", "_"))(num_classes=classes)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def uniform(name, count):
    """Numbers in [-1, 1) of 24 bits, from the FNV-1a hash of the name and SplitMix64's mixing."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1


def weight(name, shape):
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("running_var"):
        u = 1 + 0.25 * u
    elif name.endswith("running_mean") or name.endswith("bias"):
        u = 0.1 * u
    elif len(shape) == 1:  # the scale of a normalisation; less of it at the end of a residual branch
        last = any(part in name for part in (".bn2.", ".bn3.", "conv.2.", "conv.3."))
        u = 0.5 + 0.1 * u if last else 1 + 0.2 * u
    elif name in ("cls_token", "pos_embed"):
        u = 0.2 * u
    else:
        fan_in = int(np.prod(shape[1:]))
        head = name.startswith(("fc.", "head.", "classifier."))
        u = u * np.sqrt((6.0 if len(shape) == 4 else 3.0) / fan_in) * (0.1 if head else 1.0)
    return torch.from_numpy(u.astype(np.float32))


def with_formula(model):
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                value.copy_(weight(name, tuple(value.shape)))
    return model


def images_and_labels(batch, size, classes, draw=0):
    u = uniform(f"images.{draw}", batch * size * size * 3).reshape(batch, size, size, 3)
    images = torch.from_numpy(((u + 1) / 2).astype(np.float32)).permute(0, 3, 1, 2).contiguous()
    return images, torch.arange(batch) % classes


def results_of(job, draw, dtype):
    """Everything the job asks for, as {key: tensor}."""
    more = images_and_labels(LOGITS_BATCH, job["size"], CLASSES, draw)[0].to(dtype)
    images, labels = images_and_labels(job["batch"], job["size"], CLASSES, draw)
    images = images.to(dtype)

    def fresh():
        return with_formula(network(job["arch"], job["size"], CLASSES)).to(dtype)

    def loss(model, reduction):
        return torch.nn.functional.cross_entropy(model(images), labels, reduction=reduction)

    results = {}
    if job["mode"] == "eval":
        model = fresh().eval()
        with torch.no_grad():
            results["logits"] = model(more)
        images.requires_grad_()
        results["images.gradient"], = torch.autograd.grad(loss(model, "sum"), images)
    elif job["mode"] in ("weights", "train"):
        model = fresh().train(job["mode"] == "train")
        loss(model, "mean").backward()
        for key, value in model.named_parameters():
            results["gradient." + key] = value.grad.detach()
    else:
        for optimizer_name, make in OPTIMIZERS.items():
            model = fresh().train()
            before = {key: value.detach().clone() for key, value in model.named_parameters()}
            optimizer = make(model.parameters())
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss(model, "mean").backward()
                optimizer.step()
            for key, value in model.named_parameters():
                results[f"{optimizer_name}.{key}"] = value.detach() - before[key]
    return results


GROUPS = ["logits", "images.gradient", "gradient.", "sgd.", "adam.", "adamw."]


def keys_of(group, results):
    return sorted(key for key in results if (key.startswith(group) if group.endswith(".") else key == group))


def units_of(group, truth):
    """What errors are measured in: each tensor's root mean square. Some gradients are zero but for roundings, as those
    of biases that batch norm takes out again: they have no unit, 0, and do not count."""
    units = {key: truth[key].double().square().mean().sqrt().item() for key in keys_of(group, truth)}
    least = 1e-6 * float(np.median(list(units.values())))
    return {key: unit if unit > least else 0.0 for key, unit in units.items()}


def error_of(group, results, truth, pick=lambda key, x: x):
    """Root mean square of the errors in those units."""
    total, count = 0.0, 0
    for key, unit in units_of(group, truth).items():
        if unit == 0:
            continue
        error = pick(key, (results[key].double() - truth[key].double()).flatten() / unit)
        total, count = total + error.square().sum().item(), count + error.numel()
    return (total / count) ** 0.5


def sampled(key, flat):
    """Few elements of each tensor, evenly spread."""
    count = PIXEL_SAMPLES if key == "images.gradient" else flat.numel() if key == "logits" else WEIGHT_SAMPLES
    places = [flat.numel() * (2 * i + 1) // (2 * count) for i in range(count)]
    return flat[places]


class KinkWatch:
    """What a run of the network decides on: numbers that go into ReLUs, also as distances from 6 in ReLU6, and in max
    pooling the lead of each window's largest."""

    def __init__(self, model):
        self.decisions = []
        for module in model.modules():
            if isinstance(module, (torch.nn.ReLU, torch.nn.ReLU6, torch.nn.MaxPool2d)):
                module.register_forward_pre_hook(self.before)
            if isinstance(module, torchvision.models.DenseNet):  # has one ReLU that is no module
                module.features.register_forward_hook(lambda module, inputs, y: self.decisions.append(y.double().clone()))

    def before(self, module, inputs):
        a = inputs[0].double()
        if isinstance(module, torch.nn.MaxPool2d):
            padded = torch.nn.functional.pad(a, (module.padding,) * 4, value=-1e9)
            windows = torch.nn.functional.unfold(padded, module.kernel_size, stride=module.stride)
            windows = windows.reshape(a.shape[0], a.shape[1], module.kernel_size**2, -1)
            first, second = windows.topk(2, dim=2).values.unbind(2)
            self.decisions.append(torch.where(first > 0, first - second, 1e9))  # behind a ReLU several are zero
        else:
            self.decisions.append(a.clone())
            if isinstance(module, torch.nn.ReLU6):
                self.decisions.append(a - 6)


def find_draws():
    for job in JOBS:
        if job.get("long") or "dtype" in job or job["arch"].startswith("vit"):
            continue
        models = [with_formula(network(job["arch"], job["size"], CLASSES)).to(dtype).train(job["mode"] == "train")
                  for dtype in (torch.float64, torch.float32)]
        watches = [KinkWatch(model) for model in models]
        distances = []
        for draw in range(KINK_DRAWS):
            images, _ = images_and_labels(job["batch"], job["size"], CLASSES, draw)
            for model, watch in zip(models, watches):
                watch.decisions = []
                with torch.no_grad():
                    model(images.to(next(model.parameters()).dtype))
            distances.append(min((true.abs().min() / (single - true).abs().max()).item()
                                 for true, single in zip(*(watch.decisions for watch in watches))))
        best = int(np.argmax(distances))
        print(f"{job['name']}: draw {best} keeps {distances[best]:.1f} times the largest error away, "
              f"as a rule {np.median(distances):.2f}", flush=True)


def sign_agreement(ours, truth):
    """The share of values with the true sign, among those that are not zero but for roundings; and their share."""
    counted = truth.abs() > 1e-4 * truth.abs().max()
    same = (ours.sign() == truth.sign()) & counted
    return same.sum().item() / counted.sum().item(), counted.double().mean().item()


def write_fixtures():
    os.makedirs(FIXTURES, exist_ok=True)
    tensors, jobs = {}, []
    for job in JOBS:
        if job.get("long"):
            continue
        truth, single = (results_of(job, job["draws"][0], dtype) for dtype in (torch.float64, torch.float32))
        errors = {}
        for group in GROUPS:
            units = units_of(group, truth) if keys_of(group, truth) else None
            if not units:
                continue
            prefix = f"{job['name']}/{group}"
            tensors[prefix] = torch.cat([sampled(key, truth[key].flatten()) for key in units])
            tensors[prefix + "/units"] = torch.tensor(list(units.values()), dtype=torch.float64)
            errors[group] = error_of(group, single, truth, sampled)
        print(job["name"], errors, flush=True)
        jobs.append({**job, "errors": errors})
    safetensors.torch.save_file(tensors, os.path.join(FIXTURES, "parity.safetensors"), {"jobs": json.dumps(jobs)})
    os.chmod(os.path.join(FIXTURES, "parity.safetensors"), 0o644)
    write_weight_files(FIXTURES)


class Refused:
    """What executes a command when Python reads it."""

    def __reduce__(self):
        return os.system, ("echo executed",)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(x)


def write_weight_files(folder):
    """Small files of every kind, for the readers' tests. Element i of each tensor is i / 2 - 3."""
    def counting(*shape, dtype=torch.float32):
        count = int(np.prod(shape))
        return (torch.arange(count, dtype=torch.float64) / 2 - 3).reshape(shape).to(dtype)

    shared = counting(12)
    net = Net()
    with torch.no_grad():
        net.fc.weight.copy_(counting(3, 2))
        net.fc.bias.copy_(counting(3))
    state = net.state_dict()  # has attributes, as state dicts of modules do
    state.update({
        "f64": counting(2, 3, dtype=torch.float64), "half": counting(5, dtype=torch.float16),
        "bf16": counting(5, dtype=torch.bfloat16), "i64": torch.arange(-2, 3), "scalar": torch.tensor(7),
        "i32": torch.arange(-2, 3, dtype=torch.int32), "i8": torch.arange(-2, 3, dtype=torch.int8),
        "u8": torch.arange(3, dtype=torch.uint8), "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3), "parameter": torch.nn.Parameter(counting(2, 2)),
        "whole": shared, "part": shared[4:8].reshape(2, 2), "transposed": counting(3, 4).T,
        "steps": counting(12)[1::3], "permuted": counting(2, 3, 4).permute(2, 0, 1),
    })
    torch.save(state, os.path.join(folder, "types.pth"))
    torch.save(state, os.path.join(folder, "protocol4.pth"), pickle_protocol=4)
    checkpoint = {"epoch": 3, "best": 0.5, "state_dict": {"module." + k: v for k, v in net.state_dict().items()},
                  "optimizer": torch.optim.Adam(net.parameters()).state_dict()}
    torch.save(checkpoint, os.path.join(folder, "checkpoint.pth"))
    torch.save(net.state_dict(), os.path.join(folder, "legacy.pth"), _use_new_zipfile_serialization=False)
    torch.save({"fc.weight": counting(3, 2), "x": Refused()}, os.path.join(folder, "command.pth"))
    torch.save(net, os.path.join(folder, "module.pth"))
    np.savez(os.path.join(folder, "arrays.npz"), **{"fc.weight": counting(3, 2).numpy(), "fc.bias": np.float64(
        counting(3).numpy()), "half": counting(5).numpy().astype(np.float16), "big": counting(4).numpy().astype(">f4")})


def check_jobs(program, folder, jobs):
    json.dump(jobs, open(os.path.join(folder, "jobs.json"), "w"))
    run(program, "[.models-parity]", folder)
    failed = False
    print(f"{'':26}{'':16}{'our error':>12}{'PyTorch':>12}  in f32, beside PyTorch in f64")
    for job in jobs:
        errors, signs = {}, []
        for draw in job["draws"]:
            truth, single = (results_of(job, draw, dtype) for dtype in (torch.float64, torch.float32))
            ours = safetensors.torch.load_file(os.path.join(folder, f"{job['name']}.{draw}.safetensors"))
            for group in GROUPS:
                if keys_of(group, truth):
                    errors.setdefault(group, []).append([error_of(group, x, truth) for x in (ours, single)])
            if job["mode"] == "eval":
                key = "images.gradient"
                signs.append([sign_agreement(x[key].double(), truth[key]) for x in (ours, single)])
        for group, pairs in errors.items():
            mine, theirs = np.median(pairs, axis=0)
            larger = sum(a > b for a, b in pairs)
            smooth = len(pairs) == 1 or group == "logits"
            good = mine <= 2 * theirs if smooth else larger < len(pairs)
            if "dtype" in job:
                good = max(a for a, _ in pairs) <= MOST_IN_DOUBLE
            failed |= not good
            note = "" if len(pairs) == 1 else f"  medians; ours is larger in {larger} of {len(pairs)}"
            print(f"{job['name']:26}{group:16}{mine:12.2e}{theirs:12.2e}{note}{'' if good else '  FAIL'}", flush=True)
        if signs:
            ((agree, covered), (theirs, _)) = np.mean(signs, axis=0)
            failed |= agree < min(theirs, 0.999)
            print(f"{'':26}signs agree in {agree:.6f} of values (PyTorch: {theirs:.6f}); {covered:.4f} are counted")
    return failed


def check_files(program, folder):
    files, models = [], {}

    def add(file, name, size, batch=2):
        files.append(dict(file=file, arch=name, classes=1000, size=size, batch=batch))

    for name in ("resnet50", "vit-b16"):
        torch.manual_seed(1)
        model = models[name] = network(name, 224, 1000).eval()
        state = model.state_dict()
        safetensors.torch.save_file(state, os.path.join(folder, name + ".in.safetensors"))
        torch.save(state, os.path.join(folder, name + ".pth"))
        torch.save({"epoch": 1, "state_dict": torch.nn.DataParallel(model).state_dict()},
                   os.path.join(folder, name + ".wrapped.pth"))
        np.savez(os.path.join(folder, name + ".npz"),
                 **{k: v.numpy() for k, v in state.items() if not k.endswith("num_batches_tracked")})
        torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()},
                   os.path.join(folder, name + ".half.pth"))
        for file in (".in.safetensors", ".pth", ".wrapped.pth", ".npz", ".half.pth"):
            add(name + file, name, 224)
    # Learned positions for another size, as timm resizes them.
    tiny = timm.create_model("vit_tiny_patch16_224", num_classes=1000).eval()
    torch.nn.init.normal_(tiny.pos_embed)
    torch.save(tiny.state_dict(), os.path.join(folder, "resized.pth"))
    add("resized.pth", "vit-ti16", 96)
    from timm.layers import resample_abs_pos_embed
    resized = timm.create_model("vit_tiny_patch16_224", img_size=96, num_classes=1000).eval()
    state = tiny.state_dict()
    state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], (6, 6))
    resized.load_state_dict(state)
    models["vit-ti16"] = resized

    json.dump(files, open(os.path.join(folder, "files.json"), "w"))
    run(program, "[.files-parity]", folder)
    failed = False
    for entry in files:
        model = models[entry["arch"]]
        images, _ = images_and_labels(entry["batch"], entry["size"], 1000)
        with torch.no_grad():
            if ".half" in entry["file"]:  # rounded weights, then both in full precision
                model = network(entry["arch"], entry["size"], 1000).eval()
                rounded = {k: v.half().float() if v.is_floating_point() else v
                           for k, v in models[entry["arch"]].state_dict().items()}
                model.load_state_dict(rounded)
            single = model(images)
            truth = model.double()(images.double())
            model.float()
        ours = safetensors.torch.load_file(os.path.join(folder, entry["file"] + ".logits"))["logits"]
        unit = truth.square().mean().sqrt()
        mine, theirs = (((y.double() - truth).square().mean().sqrt() / unit).item() for y in (ours, single))
        written = safetensors.torch.load_file(os.path.join(folder, entry["file"] + ".model"))
        again = network(entry["arch"], entry["size"], 1000)
        again.load_state_dict(written, strict=True)
        same = all(torch.equal(v, model.state_dict()[k]) for k, v in written.items() if k != "pos_embed")
        good = mine <= 2 * theirs and same
        failed |= not good
        print(f"{entry['file']:24} logits {mine:.2e} (PyTorch {theirs:.2e}); written anew it loads in PyTorch, "
              f"{'the same weights' if same else 'OTHER WEIGHTS'}{'' if good else '  FAIL'}")
    return failed


def run(program, test, folder):
    started = time.time()
    subprocess.run([program, test], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "MICROTOME_PARITY": folder})
    print(f"{test} took {time.time() - started:.1f} s here")


def main():
    torch.manual_seed(0)
    if "--write-fixtures" in sys.argv:
        return write_fixtures()
    if "--find-draws" in sys.argv:
        return find_draws()
    program = sys.argv[1] if len(sys.argv) > 1 else "build/microtome_tests"
    words = sys.argv[2:]
    jobs = [job for job in JOBS if not words or any(word in job["name"] for word in words)]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        if jobs:
            failed |= check_jobs(program, folder, jobs)
        if not words or "files" in words:
            failed |= check_files(program, folder)
    sys.exit(failed)


if __name__ == "__main__":
    main()
