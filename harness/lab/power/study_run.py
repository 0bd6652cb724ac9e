"""An experiment of a power study: one run of a case, with what is changed in it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import Enum

from harness.store.decoding import plain_value
from harness.values.bounds import Count

__all__ = ["Experiment", "Kind"]


class Kind(str, Enum):
    """What a run is for."""

    TWIN = "twin"
    """The plain run that a faulty one differs from in the fault alone."""

    ROUNDING = "rounding"
    """The twin with other rounding: what the tier's rounding does to each signal and gradient."""

    REPEAT = "repeat"
    """A further healthy run of the reference, for ensembles of more repeats than the baseline holds."""

    FAULT = "fault"
    """A run with a fault of the catalogue."""

    HEALTHY = "healthy"
    """A healthy port, of a seed that nothing was calibrated on."""

    SHADOWED = "shadowed"
    """The first iterations of a faulty run or of a healthy port once more, watched by shadow ops."""


@dataclass(frozen=True)
class Experiment:
    """One run of a case.

    Args:
        case: name of the case.
        config: path of its config.
        kind: what it is for.
        name: the fault, the port, or the number of the repeat; of a shadowed run that of the run it stands beside.
        device: ``emulated``, or ``cpu`` for a repeat of the reference.
        profile: numerics of the emulated device; empty on the CPU.
        faults: as the command line spells them.
        noise_tier: tier of the healthy noise that is laid over it; none where empty.
        noise_seed: of that noise.
        threads: of the host's kernels.
        onednn: whether convolutions may take oneDNN's kernels.
        channels_last: whether the weights lie in memory with channels last, so that other kernels are taken.
        iterations: how many it has.
        stops: whether it ends as soon as it is seen, a shadowed run as soon as shadow ops find something.
        settle: iterations that it goes on after it was seen, for rules that see it later.
        shadow: iterations whose operations are held against float64; a shadowed run ends behind the last of them.
        shadow_tier: at which tier; empty without any.
        forced: whether each operation of the first of them is run again with hard inputs.
    """

    case: str
    config: str
    kind: Kind
    name: str
    device: str = "emulated"
    profile: str = ""
    faults: tuple[str, ...] = ()
    noise_tier: str = ""
    noise_seed: Count = 0
    threads: Count = 1
    onednn: bool = True
    channels_last: bool = False
    iterations: Count = 30
    stops: bool = False
    settle: Count = 0
    shadow: tuple[Count, ...] = ()
    shadow_tier: str = ""
    forced: bool = False

    @property
    def measures_gradients(self) -> bool:
        """Whether its gradients and updates are laid beside the twin's, to see what the fault, or rounding, does."""
        return self.kind in {Kind.TWIN, Kind.ROUNDING, Kind.FAULT}

    def key(self, code: str) -> str:
        """The name of the folder that it leaves its files in: other settings or other code are another run.

        Args:
            code: digest of the code that runs it.
        """
        settings = {
            **plain_value(self),
            "config": "",
            "stops": False,
            "settle": 0,
        }  # a whole run serves for a stopped one
        digest = hashlib.blake2b((json.dumps(settings, sort_keys=True) + code).encode(), digest_size=6).hexdigest()
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip(".-")[:60]
        return f"{self.kind.value}-{plain}-{digest}"
