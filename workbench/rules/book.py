"""The rules of a workspace: files in ``rules/``, read again as they change; the last good version stays."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from workbench.config.anomaly_rule import AnomalyRule, example_rules, load_rule
from workbench.errors import ConfigError, UnknownNameError, UsageError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Book", "Problem"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a rule.

    Attributes:
        file: The file's name, or the rule's id where it is about an evaluation.
        text: What is wrong, where, and what to do.
        running: Whether an earlier, good version of it goes on.
    """

    file: str
    text: str
    running: bool

    def __str__(self) -> str:
        """Return the text, with what goes on."""
        return f"{self.text}{' The last good version goes on.' if self.running else ''}"


@dataclass
class Book:
    """The rules in a folder.

    Args:
        folder: ``rules/`` of a workspace; it may be missing.
    """

    folder: Path
    problems: list[Problem] = field(default_factory=list)
    _seen: dict[Path, tuple[int, int, int]] = field(default_factory=dict)
    _rules: dict[str, AnomalyRule] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)
    _good: dict[str, AnomalyRule] = field(default_factory=dict)

    def remember(self, good: Mapping[str, Any]) -> None:
        """Take the last good version of each file, as :attr:`good` gave it, where none is known yet."""
        for name, document in good.items():
            if name not in self._good:
                with suppress(ConfigError):  # of a version whose rules were others
                    self._good[name] = AnomalyRule.from_json(document)
                    self._seen = {}

    @property
    def good(self) -> dict[str, Any]:
        """Return the last good version of each file, as JSON data."""
        return {name: rule.to_json() for name, rule in self._good.items()}

    @property
    def rules(self) -> dict[str, AnomalyRule]:
        """Return the rules by id, as they are now or were when they were good last."""
        self.refresh()
        return self._rules

    def file(self, rule: str) -> Path:
        """Return the file of a rule.

        Raises:
            UnknownNameError: If there is no such rule.
        """
        self.get(rule)
        return self._files[rule]

    def get(self, rule: str) -> AnomalyRule:
        """Return a rule.

        Raises:
            UnknownNameError: If there is no such rule; near misses are suggested.
        """
        rules = self.rules
        if rule not in rules:
            fix = "" if rules else "There are none: 'workbench rules add EXAMPLE' brings one."
            raise UnknownNameError("rule", rule, rules, where=str(self.folder), fix=fix)
        return rules[rule]

    def refresh(self) -> bool:
        """Read again what has changed, and return whether anything had."""
        found = {path: _identity(path) for path in sorted(self.folder.glob("*.yaml"))}
        found |= {path: _identity(path) for path in sorted(self.folder.glob("*.yml"))}
        if found == self._seen:
            return False
        self._seen = found
        self._good = {name: rule for name, rule in self._good.items() if self.folder / name in found}
        self._rules, self._files, self.problems = {}, {}, []
        ids = self._ids(found)
        for path in found:
            self._read(path, ids)
        return True

    def _ids(self, files: Mapping[Path, Any]) -> dict[str, Path]:
        """Return the file of each id that can be extended: the workspace's own before the examples."""
        ids = dict(example_rules())
        for path in filter(Path.is_file, files):
            with suppress(Exception):  # what is wrong with it is told when it is read
                ids[str(YAML(typ="safe").load(path.read_text(encoding="utf-8"))["metadata"]["id"])] = path
        return ids

    def _read(self, path: Path, ids: Mapping[str, Path]) -> None:
        # what an example's own file extends is the example, not itself
        try:
            rule = load_rule(path, lambda name: _base(name, path, ids))
            self._require_own(rule.id, path)
        except ConfigError as error:
            kept = self._good.get(path.name)
            running = kept is not None and kept.id not in self._rules
            self.problems.append(Problem(path.name, str(error), running))
            if kept is None or not running:
                return
            rule = kept
        else:
            self._good[path.name] = rule
        self._rules[rule.id] = rule
        self._files[rule.id] = path

    def _require_own(self, rule: str, path: Path) -> None:
        if rule in self._rules:
            other = self._files[rule].name
            raise ConfigError(f"metadata.id: {rule!r} is the id of {other} already.", where=str(path))

    def add(self, example: str) -> Path:
        """Copy one of the rules that come with workbench into the folder, disabled, and return its file.

        Raises:
            UnknownNameError: If there is no such example.
            UsageError: If there is a rule or file of its name already.
            WorkspaceError: If it cannot be written.
        """
        examples = example_rules()
        if example not in examples:
            raise UnknownNameError("example of a rule", example, examples)
        path = self.folder / f"{example}.yaml"
        if path.exists() or example in self.rules:
            raise UsageError(f"there is a rule {example!r} already.", where=str(path))
        self._write(path, examples[example].read_text(encoding="utf-8"))
        self.refresh()
        return path

    def enable(self, rule: str, *, enabled: bool) -> None:
        """Write into a rule's file whether it is enabled; everything else in it stays as it is.

        Raises:
            UnknownNameError: If there is no such rule.
            ConfigError: If the file is not valid now.
            WorkspaceError: If it cannot be written.
        """
        path = self.file(rule)
        load_rule(path, lambda name: _base(name, path, self._ids(self._seen)))
        yaml = YAML(typ="rt")
        yaml.preserve_quotes = True
        yaml.width = 4096
        data = yaml.load(path.read_text(encoding="utf-8"))
        data["metadata"]["enabled"] = enabled
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            yaml.dump(data, file)
            file.seek(0)
            self._write(path, file.read())
        self.refresh()

    def _write(self, path: Path, text: str) -> None:
        """Write a file whole or not at all."""
        try:
            self.folder.mkdir(exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=".rule-", dir=self.folder)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError as error:
            raise WorkspaceError(f"cannot be written: {error.strerror}.", where=str(path)) from error


def _base(name: str, path: Path, ids: Mapping[str, Path]) -> Path | None:
    """Return the file of what a file extends; a rule that extends its own id means the example of that id."""
    found = ids.get(name)
    return example_rules().get(name, found) if found == path else found


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
