"""The cluster of each subject: from the newest clusters as of the moment, computed where there are none."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from workbench.analysis import execute, tasks
from workbench.analysis.activity import from_us

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.rules.scene import Scene

__all__ = ["cluster_of"]


def cluster_of(scene: Scene) -> NDArray[np.int64]:
    """Return the cluster of each subject, -1 where it has none."""
    moment = from_us(scene.until)
    runs = [
        run
        for run in scene.world.knowledge.runs("clusters")
        if (run.parameters["type"] or scene.world.schema.who[0]) == scene.type_
        and datetime.fromisoformat(run.asof) <= moment
    ]
    if runs:
        table = scene.world.knowledge.read("clusters", run=runs[-1].id).to_polars()
    else:
        parameters = tasks.load("clusters").complete({"type": scene.type_})
        context = scene.world.context(scene.scope.context.segments, scene.scope.context.asof, parameters)
        table = pl.DataFrame(execute("clusters", context, "")[1])
    subjects = pl.DataFrame({"key": scene.keys})
    found = subjects.join(table.select("key", "cluster"), on="key", how="left", maintain_order="left")
    return found["cluster"].cast(pl.Int64).fill_null(-1).to_numpy()
