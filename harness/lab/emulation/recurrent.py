"""The fused cells of LSTM and GRU, which PyTorch has for accelerators only.

The names are aten's. Gates are computed as `torch.nn.LSTM` and `torch.nn.GRU` document them; the workspace holds what
the backward needs, in a layout of our own, since no other code reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper

__all__ = ["OPERATIONS"]

Tensor = torch.Tensor


def _biased(gates: Tensor, bias: Tensor | None) -> Tensor:
    return gates if bias is None else gates + bias


def _lstm(
    run: Run,
    input_gates: Tensor,
    hidden_gates: Tensor,
    cell: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gates (B, 4H) in the order i, f, g, o, cell (B, H) → hidden (B, H), cell (B, H), workspace (B, 4H)."""
    i, f, g, o = (_biased(input_gates, input_bias) + _biased(hidden_gates, hidden_bias)).chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    new_cell = f * cell + i * g
    return o * new_cell.tanh(), new_cell, torch.cat([i, f, g, o], 1)


def _lstm_backward(
    run: Run,
    grad_hidden: Tensor | None,
    grad_cell: Tensor | None,
    cell: Tensor,
    new_cell: Tensor,
    workspace: Tensor,
    has_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of the gates (B, 4H), the old cell (B, H) and the bias (4H,)."""
    i, f, g, o = workspace.chunk(4, 1)
    squashed = new_cell.tanh()
    through_hidden = torch.zeros_like(cell) if grad_hidden is None else grad_hidden
    through_cell = through_hidden * o * (1 - squashed**2)
    if grad_cell is not None:
        through_cell = through_cell + grad_cell
    gates = torch.cat(
        [
            through_cell * g * i * (1 - i),
            through_cell * cell * f * (1 - f),
            through_cell * i * (1 - g**2),
            through_hidden * squashed * o * (1 - o),
        ],
        1,
    )
    return gates, through_cell * f, gates.sum(0) if has_bias else None


def _gru(
    run: Run,
    input_gates: Tensor,
    hidden_gates: Tensor,
    hidden: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Gates (B, 3H) in the order r, z, n, hidden (B, H) → hidden (B, H), workspace (B, 5H)."""
    input_r, input_z, input_n = _biased(input_gates, input_bias).chunk(3, 1)
    hidden_r, hidden_z, hidden_n = _biased(hidden_gates, hidden_bias).chunk(3, 1)
    r, z = (input_r + hidden_r).sigmoid(), (input_z + hidden_z).sigmoid()
    n = (input_n + r * hidden_n).tanh()
    return (hidden - n) * z + n, torch.cat([r, z, n, hidden, hidden_n], 1)


def _gru_backward(
    run: Run, grad: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """The gradients of both gates (B, 3H), the old hidden state (B, H) and both biases (3H,)."""
    r, z, n, hidden, hidden_n = workspace.chunk(5, 1)
    grad_n = grad * (1 - z) * (1 - n**2)
    grad_z = grad * (hidden - n) * z * (1 - z)
    grad_r = grad_n * hidden_n * r * (1 - r)
    input_gates = torch.cat([grad_r, grad_z, grad_n], 1)
    hidden_gates = torch.cat([grad_r, grad_z, grad_n * r], 1)
    biases = (input_gates.sum(0), hidden_gates.sum(0)) if has_bias else (None, None)
    return input_gates, hidden_gates, grad * z, *biases


OPERATIONS: Mapping[str, Wrapper] = MappingProxyType(
    {
        "_thnn_fused_lstm_cell": _lstm,
        "_thnn_fused_lstm_cell_backward_impl": _lstm_backward,
        "_thnn_fused_gru_cell": _gru,
        "_thnn_fused_gru_cell_backward": _gru_backward,
    }
)
