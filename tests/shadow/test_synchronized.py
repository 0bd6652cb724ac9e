"""Synchronized batch norm in parts, beside batch norm of all samples at once."""

import torch

from harness.shadow.arithmetic.synchronized import SYNCHRONIZED as OPERATIONS

EPS, MOMENTUM = 1e-5, 0.1


def split(seed=0):
    """Two processes' samples, three and one, (N, C, H, W) in float64, with weight, bias and gradient."""
    torch.manual_seed(seed)
    x = torch.randn(4, 5, 3, 2, dtype=torch.float64) * 3 + 1
    gradient = torch.randn_like(x)
    return x, gradient, torch.rand(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)


def joint(x):
    parts = [x[:3], x[3:]]
    found = [OPERATIONS["batch_norm_stats"](part, EPS) for part in parts]
    counts = torch.tensor([float(part.numel() // part.shape[1]) for part in parts], dtype=torch.float64)
    running = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    means, deviations = (torch.stack(list(column)) for column in zip(*found, strict=True))
    mean, deviation = OPERATIONS["batch_norm_gather_stats_with_counts"](
        x, means, deviations, *running, MOMENTUM, EPS, counts
    )
    return parts, counts, running, mean, deviation


def test_forward_and_statistics_are_those_of_all_samples():
    x, _, weight, bias = split()
    parts, _, running, mean, deviation = joint(x)
    expected_running = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    expected = torch.nn.functional.batch_norm(x, *expected_running, weight, bias, True, MOMENTUM, EPS)
    made = [OPERATIONS["batch_norm_elemt"](part, weight, bias, mean, deviation, EPS) for part in parts]
    torch.testing.assert_close(torch.cat(made), expected)
    torch.testing.assert_close(running, expected_running)


def test_the_gradient_is_that_of_all_samples():
    x, gradient, weight, bias = split()
    parts, counts, _, mean, deviation = joint(x)
    leaf = x.clone().requires_grad_()
    torch.nn.functional.batch_norm(leaf, None, None, weight, bias, True, MOMENTUM, EPS).backward(gradient)
    gradients = [gradient[:3], gradient[3:]]
    reduced = [
        OPERATIONS["batch_norm_backward_reduce"](g, part, mean, deviation, weight, True, True, True)
        for g, part in zip(gradients, parts, strict=True)
    ]
    total, moment = (sum(one[place] for one in reduced) for place in (0, 1))
    made = [
        OPERATIONS["batch_norm_backward_elemt"](g, part, mean, deviation, weight, total, moment, counts)
        for g, part in zip(gradients, parts, strict=True)
    ]
    torch.testing.assert_close(torch.cat(made), leaf.grad)
