"""GPUs that PyTorch calls ``cuda``: NVIDIA's, and AMD's in a ROCm build."""

from __future__ import annotations

from harness.devices.device_type import DeviceType

__all__ = ["Cuda"]


class Cuda(DeviceType):
    """A GPU by CUDA; in a ROCm build of PyTorch an AMD GPU answers to the same name.

    Sources: https://docs.pytorch.org/docs/stable/notes/cuda.html (tf32, ``cudnn.allow_tf32`` is True by default),
    https://docs.pytorch.org/docs/stable/cuda_environment_variables.html,
    https://docs.pytorch.org/docs/stable/notes/hip.html (ROCm: same interface, HIP_VISIBLE_DEVICES),
    https://docs.pytorch.org/docs/stable/notes/randomness.html (``cudnn.benchmark``, ``cudnn.deterministic``).
    """

    name = "cuda"
    maker = "NVIDIA; AMD by ROCm"
    group_backend = "nccl"
    visible_variable = "CUDA_VISIBLE_DEVICES"
    variables = (
        *("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
        *("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "NVIDIA_TF32_OVERRIDE", "CUBLAS_", "CUDNN_", "NCCL_"),
        *("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "MIOPEN_", "ROCBLAS_", "RCCL_"),
    )
    ranks_are_indices = True

    def build(self) -> dict[str, str]:
        """Driver libraries, compute capability, and the switches of tf32."""
        import torch

        major, minor = torch.cuda.get_device_capability()
        hip = getattr(torch.version, "hip", None)
        return {
            **({"ROCm": str(hip)} if hip else {"CUDA": str(torch.version.cuda)}),
            "cuDNN": str(torch.backends.cudnn.version()),
            "compute capability": f"{major}.{minor}",
            "tf32 convolution": str(torch.backends.cudnn.allow_tf32),
            "tf32 matmul": str(torch.backends.cuda.matmul.allow_tf32),
        }

    def compute_exactly(self) -> None:
        """No tf32."""
        import torch

        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
