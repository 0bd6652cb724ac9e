"""Forward kernels, as data: faults of the blind set."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "conv-strided-pads-at-end",
        "strided convolutions have all their padding below and on the right",
        'vtjeng/MIPVerify.jl#23: "same" padding that is asymmetric where there is a stride',
        "kernel",
    ),
    Fault(
        "conv-bias-by-sample",
        "all channels of a sample get the bias of one",
        "kraiskil/onnx2c#7: a bias indexed along the batch",
        "kernel",
    ),
    Fault(
        "bn-running-variance-plus-eps",
        "the running variance takes the batch's variance with epsilon added",
        "nntrainer/nntrainer#677: epsilon added before the variance is kept",
        "kernel",
    ),
    Fault(
        "bn-small-map-counts-padding",
        "the statistics count zeros that pad a channel to a multiple of 64 numbers",
        "ROCm/rocm-libraries#1615: batch norm that goes wrong where the batch is small",
        "kernel",
        severity=64.0,
        severity_means="numbers of a block",
    ),
    Fault(
        "bn-scale-read-modulo-256",
        "in training, channels past 256 get scale and shift of the first ones",
        "a table in local memory that is too small for the widest layers",
        "kernel",
        severity=256.0,
        severity_means="channels of the table",
    ),
    Fault(
        "relu-cut-at-6",
        "ReLU cuts off what is above 6",
        "ReLU6's code in ReLU's place",
        "kernel",
        severity=6.0,
        severity_means="largest value let through",
    ),
    Fault(
        "max-pool-pads-with-zero",
        "max pooling pads with zeros; no effect where nothing is negative, as after ReLU",
        "a padding that isn't the least number",
        "kernel",
    ),
    Fault(
        "adaptive-pool-of-one-stride",
        "adaptive average pooling has one kernel and one stride for all bins, forward and backward",
        "pytorch/pytorch#190064: adaptive pooling as a plain one where sizes don't divide",
        "kernel",
    ),
    Fault(
        "upsample-reads-next-sample",
        "the lowest rows of an upsampled map blend into the next sample",
        "tenstorrent/tt-metal#25149: bilinear upsampling over the boundary between samples",
        "kernel",
    ),
    Fault(
        "softmax-counts-padding",
        "softmax and log-softmax sum over zeros that pad their axis to a multiple of 4",
        "tensorflow/tensorflow#108244: padded channels that aren't masked",
        "kernel",
        severity=4.0,
        severity_means="numbers of a vector",
    ),
    Fault(
        "bmm-reads-past-the-sum",
        "batched products sum on to a multiple of 16 terms, over what comes next in memory",
        "pytorch/pytorch#183535: a product that reads past the end of its inner axis",
        "kernel",
        severity=16.0,
        severity_means="terms of a step",
    ),
    Fault(
        "bmm-batch-stride-lost",
        "batched products take their second operand's first matrix for the whole batch",
        "CHIP-SPV/chipStar#1428: a stride between matrices that is silently ignored",
        "kernel",
    ),
    Fault(
        "cat-last-slice-unwritten",
        "the last slice of what is joined along channels or keys is zero",
        "torch-spyre/torch-spyre#1094: the last row of a concatenation isn't written",
        "kernel",
    ),
    Fault(
        "mul-broadcasts-first-sample",
        "a factor for each sample and channel, as dropout has, is the first sample's for all",
        "a broadcast whose stride over the batch is lost",
        "kernel",
    ),
)
