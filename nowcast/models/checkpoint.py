"""A trained model in one safetensors file: weights, normalisation, size and provenance. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nowcast.errors import ConfigError, InputError
from nowcast.io.atomic import atomic_path
from nowcast.models.gaumamba import GauMamba, ModelConfig

FORMAT = "nowcast-gaumamba"
FORMAT_VERSION = "1"

_ADVICE = "give a file written by `nowcast train`"


def save_checkpoint(path: Path | str, model: GauMamba, provenance: Mapping[str, Any] | None = None) -> None:
    """Write the model to ``path``, whole or not at all.

    ``provenance`` (default: the model's own) is stored as JSON: version, seed, events, epochs, scores.
    Raises OutputError when the file cannot be written.
    """
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "config": json.dumps(asdict(model.config)),
        "provenance": json.dumps(dict(model.provenance if provenance is None else provenance)),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(weights, metadata))


def load_checkpoint(path: Path | str) -> GauMamba:
    """Read a model, ready to forecast; its ``provenance`` is what was saved with it.

    Raises
    ------
    InputError
        The file is missing, damaged, cut short, a pickle, or holds something other than this model.
    """
    path = Path(path)
    metadata, weights = _read(path)
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is a safetensors file but holds no GauMamba: {_ADVICE}")
    if metadata.get("format_version") != FORMAT_VERSION:
        found = metadata.get("format_version")
        raise InputError(f"{path} has checkpoint format {found}, this version reads {FORMAT_VERSION}: {_ADVICE}")
    try:
        config = ModelConfig(**{"candidates": 0, **json.loads(metadata["config"])})  # the first models knew of none
        provenance = dict(json.loads(metadata["provenance"]))
    except (KeyError, TypeError, ValueError) as error:
        reason = error if isinstance(error, ConfigError) else f"bad settings ({error})"
        raise InputError(f"{path} cannot be used: {reason}; {_ADVICE}") from error
    model = GauMamba(config)
    _check(path, model, weights)
    model.load_state_dict(weights)
    model.provenance = provenance
    return model.eval()


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    if not path.is_file():
        raise InputError(f"no model at {path}: {_ADVICE}")
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if start in (b"PK", b"\x80\x02"):
        raise InputError(
            f"{path} is a PyTorch pickle, which could run any code: it is not opened; {_ADVICE} (safetensors)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged, cut short or no safetensors file ({error}): {_ADVICE}") from error


def _check(path: Path, model: GauMamba, weights: dict[str, Tensor]) -> None:
    """Refuse weights that are not this model's."""
    expected = model.state_dict()
    if differ := sorted(expected.keys() ^ weights.keys()):
        raise InputError(f"{path} is of another architecture: {len(differ)} tensors differ, such as {differ[0]}")
    for name, tensor in expected.items():
        if weights[name].shape != tensor.shape:
            found, wanted = list(weights[name].shape), list(tensor.shape)
            raise InputError(f"{path} is of another architecture: {name} has shape {found}, expected {wanted}")
        if not torch.isfinite(weights[name]).all():
            raise InputError(f"{path} holds numbers that are not finite in {name}: train the model again")
