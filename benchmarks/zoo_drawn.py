"""Architectures that nobody chose: drawn from the lists that timm and transformers keep of their own.

A family is drawn, a module of timm's or a type of transformers', and of timm's family a model. What is made small is
what every configuration calls alike. A model that is large all the same, or whose kind of input isn't drawn here, is
passed over; one that can't be built or trained comes along, and ends as what didn't run.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any

import torch

LARGEST = 12_000_000
"""Parameters of an architecture: more take minutes a step."""

_SMALL = {
    32: ("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim"),
    2: ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"),
    4: ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads"),
    1: ("num_key_value_heads", "num_kv_heads", "bos_token_id"),
    64: ("intermediate_size", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "d_ff", "n_inner", "hidden_dim"),
    8: ("head_dim", "d_kv", "patch_size"),
    16: ("embedding_size",),
    199: ("vocab_size",),
}
"""A size, and what configurations of transformers call that which gets it."""

Drawn = tuple[str, dict[str, Any], int]
"""As ``align ops --model`` has it, its options, the size of images or tokens (0: as it comes)."""


def drawn(seed: int) -> Iterator[Drawn]:
    """One of timm, one of transformers, and so on, until there are no more."""
    draws = random.Random(seed)  # noqa: S311  # of names, which are no secret
    return (found for pair in zip_longest(_of_timm(draws), _of_transformers(draws)) for found in pair if found)


def _of_timm(draws: random.Random) -> Iterator[Drawn]:
    import timm

    families = timm.list_modules()
    draws.shuffle(families)
    for family in families:
        models = timm.list_models(module=family)
        draws.shuffle(models)
        for name in models:
            with warnings.catch_warnings(), torch.device("meta"):
                warnings.simplefilter("ignore")
                try:
                    model = timm.create_model(name, pretrained=False, num_classes=10)
                except (RuntimeError, NotImplementedError):  # its weights are computed from values
                    continue
            side = model.default_cfg["input_size"][-1] if model.default_cfg.get("fixed_input_size") else 64
            if _parameters(model) <= LARGEST and side <= 256:
                yield f"timm:{name}", {"num_classes": 10}, side
                break


def _of_transformers(draws: random.Random) -> Iterator[Drawn]:
    import transformers

    transformers.logging.set_verbosity_error()  # of token ids that a small vocabulary lacks
    kinds = sorted(set(transformers.CONFIG_MAPPING), key=str)
    draws.shuffle(kinds)
    named = {name: size for size, names in _SMALL.items() for name in names}
    for kind in kinds:
        configures = transformers.CONFIG_MAPPING[kind]
        try:
            plain = configures()
        except Exception:  # noqa: BLE001, S112  # theirs: it asks for another one, or for a file
            continue
        if configures.sub_configs or configures not in transformers.AutoModel._model_mapping:
            continue
        own = vars(plain)  # asked for by its name, a setting that layers differ in is an error
        options = {name: size for name, size in named.items() if isinstance(own.get(name), int)}
        if "image_size" in own:
            options["image_size"] = 32
        if own.get("pad_token_id") is not None:
            options["pad_token_id"] = 0
        if any("expert" in name for name in own):
            options["experts_implementation"] = "eager"  # the other one counts by a kernel that the CPU lacks
        try:
            with torch.device("meta"):
                small = transformers.AutoModel.from_config(configures(**options))
        except Exception:  # noqa: BLE001, S112  # sizes that don't fit each other: theirs are no common language
            continue
        if _parameters(small) <= LARGEST:
            yield f"transformers:{configures.__name__}", options, 0


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in chain(model.parameters(), model.buffers()))
