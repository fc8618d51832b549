"""Writes the types and resource classes of the Python SDK, for both kinds of client."""

from __future__ import annotations

import textwrap
from typing import Any

from .model import Field, Model, Operation, Schema, Type, all_fields, pascal, snake, tree

PACKAGE = "sdk/python/src/hoody"
HEAD = '"""{}\n\nWritten by sdk/emit from openapi.json and sdk/names.json. Do not edit.\n"""\n\n'
HEAD += "from __future__ import annotations\n\n"


# Schemas that stand for themselves in Python.
PLAIN = ("Secret", "Id", "Timestamp")


def write(model: Model) -> dict[str, str]:
    return {
        f"{PACKAGE}/types.py": types(model),
        f"{PACKAGE}/_resources_sync.py": resources(model, is_async=False),
        f"{PACKAGE}/_resources_async.py": resources(model, is_async=True),
    }


def types(model: Model) -> str:
    out = [HEAD.format("What callers send and what the server answers.")]
    out.append(
        "from collections.abc import Mapping, Sequence\nfrom dataclasses import dataclass, field\n"
        "from datetime import datetime\n"
    )
    out.append("from typing import Any, Literal, TypedDict, Union\n\nfrom ._secret import Secret\n\n")
    out += permissions(tree(model.leaves), "Permissions")
    named = [model.schemas[name] for name in sorted(model.inputs | model.outputs) if name not in PLAIN]
    objects = [one for one in named if one.type is None and one.name in model.outputs]
    aliases = [one for one in named if one.type is not None]
    out += [dataclass_of(model, one) for one in objects]
    bodies = {one.body for one in model.operations}
    parts = [one for one in named if one.type is None and one.name not in model.outputs | bodies]
    out += [dict_of(model, one) for one in parts]
    for one in aliases:
        out.append(f"\n{one.name} = {text(one.type, one.name in model.inputs, at_runtime=True)}\n{doc(one.text, '')}")
    return "".join(out)


def permissions(node: dict[str, Any], name: str) -> list[str]:
    """A TypedDict for each branch of the tree, the innermost first."""
    out: list[str] = []
    fields = []
    for key, below in node.items():
        if below is True:
            fields.append(f"    {key}: bool\n")
        else:
            inner = f"{name}{pascal(key.title().replace('_', ''))}"
            out += permissions(below, inner)
            fields.append(f"    {key}: {inner}\n")
    text = (
        "A tree of permissions: `True` grants a leaf, a leaf left out is not granted. "
        "For leaves of your own, subclass it."
        if name == "Permissions"
        else ""
    )
    out.append(f"\nclass {name}(TypedDict, total=False):\n{doc(text, '    ')}{''.join(fields)}\n")
    return out


def dataclass_of(model: Model, one: Schema) -> str:
    fields = sorted(all_fields(model, one.name), key=lambda item: not item.is_required)
    lines = "".join(attribute(item) for item in fields)
    extra = "    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)\n"
    head = "\n@dataclass(slots=True, frozen=True, kw_only=True)\n"
    return f"{head}class {one.name}:\n{doc(one.text, '    ')}\n{lines}{extra}\n"


def dict_of(model: Model, one: Schema) -> str:
    """What is only sent, inside of a body."""
    fields = "".join(
        f"    {item.name}: {text(item.type, is_input=True)}\n{doc(item.text, '    ')}"
        for item in all_fields(model, one.name)
    )
    return f"\nclass {one.name}(TypedDict, total=False):\n{doc(one.text, '    ')}\n{fields}\n"


def attribute(item: Field) -> str:
    kind = text(item.type, is_input=False)
    name = snake(item.name)
    wire = f'metadata={{"wire": "{item.name}"}}' if name != item.name else ""
    if not item.is_required:
        kind = kind if kind.endswith("| None") or kind == "Any" else f"{kind} | None"
        value = f" = field(default=None, {wire})" if wire else " = None"
    else:
        value = f" = field({wire})" if wire else ""
    return f"    {name}: {kind}{value}\n{doc(item.text, '    ')}"


def doc(said: str, pad: str) -> str:
    if not said:
        return ""
    said = said.replace("\\", "\\\\").replace('"""', "'''")
    lines = textwrap.wrap(said, 110 - len(pad)) or [""]
    if len(lines) == 1 and not said.endswith('"'):
        return f'{pad}"""{lines[0]}"""\n'
    return f'{pad}"""{lines[0]}\n' + "".join(f"{pad}{line}\n" for line in lines[1:]) + f'{pad}"""\n'


def text(  # noqa: PLR0912 - one case a kind
    type: Type, is_input: bool, prefix: str = "", at_runtime: bool = False
) -> str:
    match type.kind:
        case "ref" if type.name == "Secret":
            return "str" if is_input else "Secret"
        case "ref" if type.name == "Timestamp":
            return "str | datetime" if is_input else "datetime"
        case "ref":
            return "str" if type.name == "Id" else f"{prefix}{type.name}"
        case "string":
            return "str"
        case "secret":
            return "str" if is_input else "Secret"
        case "datetime":
            return "str | datetime" if is_input else "datetime"
        case "integer":
            return "int"
        case "number":
            return "float"
        case "boolean":
            return "bool"
        case "null":
            return "None"
        case "any":
            return "Any"
        case "object":
            return "Mapping[str, Any]"
        case "permissions":
            return f"{prefix}Permissions"
        case "list":
            inner = text(type.items[0], is_input, prefix)
            return f"Sequence[{inner}]" if is_input or prefix == "" else f"builtins.list[{inner}]"
        case "map":
            return f"Mapping[str, {text(type.items[0], is_input, prefix)}]"
        case "enum":
            return f"Literal[{', '.join(repr(value) for value in type.values).replace(chr(39), chr(34))}]"
        case "union":
            parts = list(
                dict.fromkeys(part for item in type.items for part in text(item, is_input, prefix).split(" | "))
            )
            parts.sort(key=lambda part: part == "None")
            return f"Union[{', '.join(parts)}]" if at_runtime and len(parts) > 1 else " | ".join(parts)
    raise ValueError(type.kind)


def resources(model: Model, is_async: bool) -> str:
    kind = "asyncio or trio" if is_async else "threads"
    core, page, stream = ("AsyncCore", "AsyncPage", "AsyncEvents") if is_async else ("SyncCore", "Page", "SyncEvents")
    out = [HEAD.format(f"The resources of a client for {kind}.")]
    out.append(
        "import builtins\nfrom collections.abc import Mapping, Sequence\nfrom datetime import datetime\n"
        "from typing import Any\n\nfrom . import types as t\n"
    )
    out.append(
        f"from ._answer import Envelope\nfrom ._call import OMIT, Omit\n"
        f"from .{'_async' if is_async else '_sync'} import {', '.join(sorted((core, page, stream)))}\n"
    )
    out.append("from ._secret import hide\n\n")
    names = list(dict.fromkeys(one.resource for one in model.operations))
    for name in names:
        base = f"({stream})" if name == "events" else ""
        out.append(f'\nclass {pascal(name)}{base}:\n    """`client.{snake(name)}`"""\n\n')
        out.append(f"    def __init__(self, core: {core}) -> None:\n")
        out.append("        super().__init__(core)\n" if base else "        self._core = core\n")
        out += [method(model, one, is_async, page) for one in model.operations if one.resource == name]
    out.append(
        f'\nclass Resources:\n    """All resources of a client."""\n\n    def __init__(self, core: {core}) -> None:\n'
    )
    out += [f"        self.{snake(name)}: {pascal(name)} = {pascal(name)}(core)\n" for name in names]
    text = "".join(out).replace("\n\n\n    def", "\n\n    def")
    if "datetime" not in text.split("\n\n\n", 1)[1]:
        text = text.replace("from datetime import datetime\n", "")
    return text


def method(model: Model, one: Operation, is_async: bool, page: str) -> str:
    positional, named, details, hidden = [], [], [], []
    if one.credential:
        credential = snake(one.credential)
        positional.append(f"{credential}: str")
        hidden.append(credential)
        details.append(f"token={credential}")
    positional += [f"{name}: str" for name in one.arguments]
    if one.arguments:
        details.append(f"args=({', '.join(one.arguments)},)")
    if one.body:
        # A field that the path has, too, is given once.
        fields = [item for item in all_fields(model, one.body) if snake(item.name) not in one.arguments]
        fields.sort(key=lambda item: not item.is_required)
        named += [parameter(item) for item in fields]
        pairs = [f'"{item.name}": {snake(item.name)}' for item in fields]
        details.append(spread("body={", pairs, "}", 12))
        hidden += [snake(item.name) for item in fields if is_secret(item.type)]
    if one.query:
        named += [parameter(item) for item in sorted(one.query, key=lambda item: not item.is_required)]
        details.append(spread("query={", [f'"{item.name}": {item.name}' for item in one.query], "}", 12))
    details += flags(one)
    signature = ["self", *positional, *(["*", *named] if named else [])]
    route = f'"{one.method} {one.path}"'
    answer = text(one.answer, is_input=False, prefix="t.") if one.answer else "None"
    if one.listed:
        return listed(one, is_async, page, signature, answer, route, details)
    result = f"Envelope[{answer}]" if one.answer else "None"
    kind = kind_of(answer) if one.answer else "None"
    lines = [f"        {name} = hide({name})\n" for name in hidden]
    keyword, wait = ("async def", "await ") if is_async else ("def", "")
    return (
        f"\n    {spread(f'{keyword} {snake(one.name)}(', signature, f') -> {result}:', 4)}\n"
        f"{doc(f'{one.text}. `{one.method} {one.path}`', '        ')}"
        f"{''.join(lines)}        {spread(f'return {wait}self._core.call(', [route, kind, *details], ')', 8)}\n"
    )


def listed(
    one: Operation, is_async: bool, page: str, signature: list[str], answer: str, route: str, details: list[str]
) -> str:
    item = text(one.item, is_input=False, prefix="t.")
    rule = ", ".join(f'{key}="{value}"' for key, value in one.listed.items())
    call = [route, kind_of(answer), f"dict({rule})", *details]
    how = "The result is one page; iterate it for all of them."
    if is_async:
        how = "Await it for one page, or iterate it for all."
    return (
        f"\n    {spread(f'def {snake(one.name)}(', signature, f') -> {page}[{answer}, {item}]:', 4)}\n"
        f"{doc(f'{one.text}. {how} `{one.method} {one.path}`', '        ')}"
        f"        {spread('return self._core.list(', call, ')', 8)}\n"
    )


def spread(head: str, items: list[str], tail: str, indent: int) -> str:
    """The items on one line, or one a line when it would be longer than 110 characters."""
    line = f"{head}{', '.join(items)}{tail}"
    if len(line) + indent <= 110 and "\n" not in line:
        return line
    pad = " " * (indent + 4)
    lines = "".join(f"{pad}{item},\n" for item in items)
    return f"{head}\n{lines}{' ' * indent}{tail}"


def kind_of(answer: str) -> str:
    return answer.replace("builtins.list", "list") if not answer.startswith("t.") else answer


def flags(one: Operation) -> list[str]:
    found = []
    if one.is_open and not one.credential:
        found.append("is_anonymous=True")
    if one.once:
        found.append("is_once=True" if one.once is True else f"is_once=not isinstance({one.once}, Omit)")
    if one.is_large:
        found.append("is_large=True")
    return found


def is_secret(type: Type) -> bool:
    return (
        type.kind == "secret"
        or (type.kind == "ref" and type.name == "Secret")
        or any(is_secret(item) for item in type.items)
    )


def parameter(item: Field) -> str:
    kind = text(item.type, is_input=True, prefix="t.")
    return f"{snake(item.name)}: {kind}" if item.is_required else f"{snake(item.name)}: {kind} | Omit = OMIT"
