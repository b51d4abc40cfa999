"""Embedders whose vectors have fewer numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from workbench.embedders import embedders, fit_pca, named
from workbench.errors import ConfigError
from workbench.settings import load_settings
from workbench.vectors import connect

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    f"{a} {b}" for a in ("red", "green", "blue", "black") for b in ("coat", "shoe", "chair", "lamp", "door")
]


def test_the_first_numbers_have_length_1_and_the_model_says_so() -> None:
    whole = embedders.create("static").embed(TEXTS)
    made = connect(load_settings(environ={}, embedder_reduction="first:64"))
    assert made.model == "wordllama-l2-supercat-256/first-64"
    assert (made.dimension, made.licence, made.leaves_machine) == (64, "MIT", False)
    cut = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True)
    assert made.embed(TEXTS) == pytest.approx(cut, abs=1e-5)


def test_as_many_directions_as_texts_have_keep_every_cosine(tmp_path: Path) -> None:
    whole = embedders.create("static")
    assert fit_pca(whole, TEXTS, 20, tmp_path / "axes.npy") == pytest.approx(1.0)
    made = named("static", reduction=f"pca:{tmp_path / 'axes.npy'}")
    assert made.model.startswith("wordllama-l2-supercat-256/pca-20-")
    vectors, turned = whole.embed(TEXTS), made.embed(TEXTS)
    assert turned.shape == (20, 20)
    assert turned @ turned.T == pytest.approx(vectors @ vectors.T, abs=1e-4)
    # other axes are another model
    assert 0.5 < fit_pca(whole, TEXTS, 5, tmp_path / "few.npy") < 1
    assert named("static", reduction=f"pca:{tmp_path / 'few.npy'}").model != made.model


def test_what_is_no_reduction_is_told(tmp_path: Path) -> None:
    for wrong in ("first:0", "first:x", "half", "pca:"):
        with pytest.raises(ConfigError, match="no reduction"):
            named("static", reduction=wrong)
    with pytest.raises(ConfigError, match="cannot be read"):
        named("static", reduction=f"pca:{tmp_path / 'nowhere.npy'}")
    np.save(tmp_path / "odd.npy", np.zeros(3))
    with pytest.raises(ConfigError, match="no axes"):
        named("static", reduction=f"pca:{tmp_path / 'odd.npy'}")
    with pytest.raises(ConfigError, match="256 numbers, not 300"):
        named("static", reduction="first:300").embed(["a text"])
    with pytest.raises(ConfigError, match="directions, not 21"):
        fit_pca(embedders.create("static"), TEXTS, 21, tmp_path / "axes.npy")
    np.save(tmp_path / "other.npy", np.zeros((100, 3), np.float32))
    with pytest.raises(ConfigError, match="256 numbers, not 100"):
        named("static", reduction=f"pca:{tmp_path / 'other.npy'}").embed(["a text"])
