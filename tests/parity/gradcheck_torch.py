#!/usr/bin/env python3
"""How often a gradient check notices one wrong element of a Jacobian: PyTorch's and microtome's.

    pip install torch
    tests/parity/gradcheck_torch.py [--trials 100] [--slow-at-1000 3] [--compiler g++] [--no-tight]

The function is y = tanh(W x) in f64, W of n by n, uniform in +-1/sqrt(n), x uniform in +-1; its vjp is right but
for one element of the Jacobian, chosen anew for each trial, that is off by d. PyTorch's torch.autograd.gradcheck
runs with its defaults (eps 1e-6, atol 1e-5, rtol 1e-3), in fast mode and in slow mode, which compares the full
Jacobian, and again with tolerances chosen by hand for this function (atol 1e-8, rtol 0). microtome's is
autograd/gradcheck/gradcheck.hpp with its defaults. d = 0 counts false alarms. Slow mode at n = 1000 takes seconds
a trial, so it gets fewer. Both run on one thread.
"""
import argparse
import os
import subprocess
import tempfile
import time

import torch

SIZES = [10, 100, 1000]
ERRORS = [1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 0.0]
HERE = os.path.dirname(os.path.abspath(__file__))


class Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weights, row, column, wrong):
        y = torch.tanh(weights @ x)
        ctx.save_for_backward(weights, y)
        ctx.place = row, column, wrong
        return y

    @staticmethod
    def backward(ctx, v):
        weights, y = ctx.saved_tensors
        row, column, wrong = ctx.place
        gradient = weights.T @ (v * (1 - y * y))
        gradient[column] += wrong * v[row]
        return gradient, None, None, None, None


def pytorch(n, wrong, trials, fast, tolerances):
    """The share of trials rejected, and seconds per trial."""
    rejected, seconds = 0, 0.0
    for trial in range(trials):
        torch.manual_seed(trial * 1000003 + n)
        weights = (2 * torch.rand(n, n, dtype=torch.float64) - 1) / n**0.5
        x = (2 * torch.rand(n, dtype=torch.float64) - 1).requires_grad_()
        row, column = torch.randint(n, (2,)).tolist()
        begin = time.perf_counter()
        passed = torch.autograd.gradcheck(
            lambda at: Layer.apply(at, weights, row, column, wrong), (x,), fast_mode=fast, raise_exception=False,
            **tolerances)
        seconds += time.perf_counter() - begin
        rejected += not passed
    return rejected / trials, seconds / trials


def microtome(program, n, wrong, trials):
    output = subprocess.run([program, str(n), repr(wrong), str(trials)], check=True, capture_output=True, text=True)
    done, rejected, inconclusive, _, seconds = output.stdout.split()
    return int(rejected) / int(done), float(seconds), int(inconclusive)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--slow-at-1000", type=int, default=3, help="trials of slow mode there")
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--no-tight", action="store_true", help="without the tolerances chosen by hand")
    options = parser.parse_args()
    tolerances = {"": {}} if options.no_tight else {"": {}, ", tight": {"atol": 1e-8, "rtol": 0.0}}
    torch.set_num_threads(1)
    print(f"PyTorch {torch.__version__}; {options.trials} trials each; share rejected, seconds a trial\n")
    print("| n | check | " + " | ".join(f"d = {d:g}" if d else "none wrong" for d in ERRORS) + " | s a trial |")
    print("|---|---|" + "---|" * (len(ERRORS) + 1))

    def row(n, name, results):
        shares = " | ".join(f"{100 * result[0]:.0f} %" for result in results)
        print(f"| {n} | {name} | {shares} | {sum(r[1] for r in results) / len(results):.2g} |", flush=True)

    unclear = 0
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "gradcheck_layer")
        subprocess.run([options.compiler, "-std=c++20", "-O2", "-I", os.path.join(HERE, "../../autograd/gradcheck"),
                        os.path.join(HERE, "gradcheck_layer.cpp"), "-o", program], check=True)
        for n in SIZES:
            few = options.trials if n < 1000 else options.slow_at_1000
            for added, chosen in tolerances.items():
                row(n, "PyTorch, fast mode" + added, [pytorch(n, d, options.trials, True, chosen) for d in ERRORS])
                name = "PyTorch, slow mode" + added + ("" if few == options.trials else f" ({few} trials)")
                if few:
                    row(n, name, [pytorch(n, d, few, False, chosen) for d in ERRORS])
            ours = [microtome(program, n, d, options.trials) for d in ERRORS]
            row(n, "microtome", ours)
            unclear += sum(result[2] for result in ours)
    print(f"\nmicrotome called {unclear} checks inconclusive")


if __name__ == "__main__":
    main()
