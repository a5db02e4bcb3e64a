"""Pages of the documentation that are made from the code: every command with its options, every setting."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import groupby
from typing import Any

from typer.main import get_command

from nowcast.cli import app

COMMANDS_HEAD = """# Commands

Made from the program itself: what follows is what `nowcast COMMAND --help` says. Results go to stdout (`--json` for
programs), progress and warnings to stderr. `nowcast --install-completion` completes commands and options in your shell.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a bug: please report it |
| 2 | the call makes no sense |
| 3 | input, settings or output place cannot be used |
| 4 | some items of a batch failed, the others are done |
| 5 | the forecast asked for failed and a simpler one was published |
| 130 | interrupted |
"""
SETTINGS_HEAD = """# Settings

Made from the program itself. `nowcast config show` prints every setting with its default as YAML; a file of those that
differ goes to `grid`, `fit`, `train`, `forecast`, `evaluate` and `products` with `--config`, and options win over it.
`nowcast config check FILE` names unknown keys and wrong values by line. A scheduled job takes the same sections:
[operations](operations.md#the-job-file).
"""


def commands_page() -> str:
    """The command line as markdown: usage, example, arguments and options of every command."""
    program = get_command(app)
    context = program.make_context("nowcast", [], resilient_parsing=True)
    parts = [COMMANDS_HEAD, "\n## nowcast\n", _usage(program, context), _parameters(program, context)]
    for name, command, inner in commands(program, context):
        parts += [f"\n## {name}\n", _about(command), _usage(command, inner), _parameters(command, inner)]
    return "\n".join(part for part in parts if part)


def commands(group: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name as typed, command and context of every command, those of groups after one another."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = type(context)(command, info_name=name, parent=context)
        if hasattr(command, "list_commands"):
            yield from commands(command, inner)
        else:
            yield inner.command_path, command, inner


def _about(command: Any) -> str:
    """What a command says of itself; what follows ``Example:`` or another sentence up to ``: nowcast`` as code."""
    lines = []
    for paragraph in inspect.cleandoc(command.help).split("\n\n"):
        text = " ".join(paragraph.split())
        call = re.match(r"([^:]*): ((?:nowcast|torchrun) .*)", text)
        lines.append(f"{call[1]}:\n\n```sh\n{call[2]}\n```\n" if call else f"{text}\n")
    return "\n".join(lines)


def _usage(command: Any, context: Any) -> str:
    usage = " ".join(command.get_usage(context).removeprefix("Usage:").split())
    return f"```text\n{re.sub(r'{(.*?)}', _bare, usage)}\n```\n"


def _bare(found: re.Match[str]) -> str:
    return found[1].removesuffix("...")


def _parameters(command: Any, context: Any) -> str:
    """A table of arguments and options: as typed, and their help."""
    records = [_record(p, context) for p in command.get_params(context) if not getattr(p, "hidden", False)]
    rows = "\n".join(f"| {_code(left)} | {_cell(right)} |" for left, right in records)
    return f"| argument or option | meaning |\n|---|---|\n{rows}\n" if rows else ""


def _record(parameter: Any, context: Any) -> tuple[str, str]:
    record = parameter.get_help_record(context)
    return record if record is not None else (parameter.make_metavar(context), "")


def settings_page() -> str:
    """Every setting as markdown: name, default and meaning, section by section."""
    from nowcast.pipeline.settings import Settings

    return "\n".join([SETTINGS_HEAD, *_section("", Settings())])


def _section(name: str, settings: Any) -> Iterator[str]:
    """The table of one dataclass, then those of the dataclasses within it."""
    told = _attributes(settings)
    if name:
        yield f"\n## {name}\n\n{_summary(settings)}\n"
    plain = [f.name for f in fields(settings) if not is_dataclass(getattr(settings, f.name))]
    if plain:
        yield "| setting | default | meaning |\n|---|---|---|"
        for meaning, together in groupby(plain, lambda key: told[key]):
            keys = list(together)
            defaults = ", ".join(_code(_yaml(getattr(settings, key))) for key in keys)
            yield f"| {', '.join(map(_code, keys))} | {defaults} | {_cell(meaning)} |"
        yield ""
    for field in fields(settings):
        inner = getattr(settings, field.name)
        if is_dataclass(inner):
            yield from _section(f"{name}.{field.name}".lstrip("."), inner)


def _summary(settings: Any) -> str:
    return _marked(" ".join(inspect.getdoc(type(settings)).split("\n\n")[0].split()))  # type: ignore[union-attr]


def _attributes(settings: Any) -> dict[str, str]:
    """What the ``Attributes`` of a numpydoc docstring say of each field; several may share a text."""
    text = (inspect.getdoc(type(settings)) or "").partition("Attributes\n----------\n")[2]
    told: dict[str, str] = defaultdict(str)
    for block in re.split(r"\n(?=\w)", text):
        names, _, meaning = block.partition("\n")
        for name in names.split(","):
            told[name.strip()] = " ".join(meaning.split())
    return told


def _yaml(value: Any) -> str:
    import yaml

    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def _marked(text: str) -> str:
    """reStructuredText's marks as markdown's."""
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text.replace("``", "`"))


def _code(text: str) -> str:
    return f"`{' '.join(text.split())}`".replace("|", "\\|")


def _cell(text: str) -> str:
    """Text for a table: no line breaks, bars and angle brackets as they are."""
    return _marked(" ".join(text.split())).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
