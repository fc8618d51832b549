"""Reads openapi.json, sdk/names.json and two tables of docs/ into what both emitters need."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REF = "#/components/schemas/"


class Mismatch(Exception):
    """The document and sdk/names.json do not fit together."""


@dataclass
class Type:
    """A type in neutral terms: `kind` is ref, string, integer, number, boolean, datetime, null, any, object,
    permissions, list, map, enum or union."""

    kind: str
    name: str = ""
    items: list[Type] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def is_nullable(self) -> bool:
        return self.kind == "null" or (self.kind == "union" and any(item.kind == "null" for item in self.items))


@dataclass
class Field:
    name: str
    type: Type
    is_required: bool
    text: str


@dataclass
class Schema:
    """Either an object with `fields` (`parent` is what an allOf extends), or an alias of `type`."""

    name: str
    text: str
    fields: list[Field] = field(default_factory=list)
    parent: str | None = None
    type: Type | None = None


@dataclass
class Operation:
    id: str
    method: str
    path: str
    text: str
    resource: str
    name: str
    arguments: list[str]
    query: list[Field]
    body: str | None
    answer: Type | None  # data of the envelope; None where the answer has no body
    envelope: str | None  # the schema of an answer with more than the three keys
    listed: dict[str, str] | None
    item: Type | None
    is_open: bool
    once: bool | str
    is_large: bool
    credential: str | None
    alias: str | None


@dataclass
class Model:
    schemas: dict[str, Schema]
    operations: list[Operation]
    inputs: set[str]  # schemas that callers send
    outputs: set[str]  # schemas that the server answers with
    codes: list[str]
    leaves: list[str]
    names: dict[str, Any]


def clean(text: str) -> str:
    """The description without references to pages that readers do not have."""
    text = re.sub(r"\s*\(`contract/[^)]*\)", "", text or "")
    text = re.sub(r"`contract/[^`]*`( \d+)?", "the API's contract", text)
    return " ".join(text.split())


def read(root: Path) -> Model:
    document = json.loads((root / "openapi.json").read_text())
    names = json.loads((root / "sdk/names.json").read_text())
    raw = document["components"]["schemas"] | names["schemas"]
    schemas = {name: schema(name, node) for name, node in raw.items() if not is_envelope(name)}
    operations = [operation(raw, names, *found) for found in described(document, names)]
    model = Model(schemas, operations, set(), set(), codes(root), leaves(root), names)
    if not model.codes or not model.leaves:
        raise Mismatch("docs/errors.md or docs/permissions.md has no table of codes or paths any more")
    for one in operations:
        model.inputs |= reach(schemas, [Type("ref", one.body)] if one.body else [])
        model.outputs |= reach(schemas, [type for type in (one.answer, one.item) if type])
    model.outputs |= reach(schemas, [Type("ref", "Event")])
    return model


def is_envelope(name: str) -> bool:
    return name.startswith("Envelope_") or name in ("Done", "ErrorBody")


def described(document: dict[str, Any], names: dict[str, Any]):
    """Every operation that has a name, in the order of names.json."""
    found = {}
    for path, item in document["paths"].items():
        for method, node in item.items():
            if "operationId" in node:
                found[node["operationId"]] = (method.upper(), path, node)
    known = names["operations"] | names["excluded"]
    missing = [name for name in found if name not in known and not is_twin(name, found)]
    gone = [name for name in known if name not in found]
    if missing or gone:
        raise Mismatch(f"sdk/names.json: no name for {missing}; no such operation: {gone}")
    return [(name, *found[name]) for name in names["operations"]]


def is_twin(name: str, found: dict[str, Any]) -> bool:
    """PATCH does what PUT does; the SDKs send PUT, which may be repeated."""
    return name.endswith("_by_patch") and name.removesuffix("_by_patch") in found


def schema(name: str, node: dict[str, Any]) -> Schema:
    text = clean(node.get("description", ""))
    if "allOf" in node:
        parent, own = node["allOf"]
        return Schema(name, text, fields(own), parent["$ref"].removeprefix(REF))
    if "properties" in node:
        return Schema(name, text, fields(node))
    return Schema(name, text, type=type_of(node, name))


def fields(node: dict[str, Any]) -> list[Field]:
    required = node.get("required", [])
    return [
        Field(name, type_of(one, name), name in required, clean(description(one)))
        for name, one in node["properties"].items()
    ]


def description(node: dict[str, Any]) -> str:
    return node.get("description") or next(
        (one["description"] for one in node.get("oneOf", []) if "description" in one), ""
    )


def type_of(node: dict[str, Any], name: str = "") -> Type:
    if "$ref" in node:
        return Type("ref", node["$ref"].removeprefix(REF))
    if "oneOf" in node:
        return Type("union", items=[type_of(one) for one in node["oneOf"]])
    if "enum" in node:
        return Type("enum", values=node["enum"])
    kind = node.get("type")
    if isinstance(kind, list):
        return Type("union", items=[type_of(node | {"type": one}, name) for one in kind])
    match kind:
        case None:
            return Type("any")
        case "array":
            return Type("list", items=[type_of(node["items"])])
        case "object" if "additionalProperties" in node:
            return Type("map", items=[type_of(node["additionalProperties"])])
        case "object":
            return Type("permissions" if name == "permissions" else "object")
        case "string" if node.get("format") == "date-time":
            return Type("datetime")
        case "string" if node.get("format") == "password":
            return Type("secret")
    return Type(kind)


def operation(
    raw: dict[str, Any], names: dict[str, Any], id: str, method: str, path: str, node: dict[str, Any]
) -> Operation:
    said = names["operations"][id]
    resource, name = said["name"].split(".")
    parameters = node.get("parameters", [])
    query = [
        Field(one["name"], type_of(one["schema"]), one.get("required", False), clean(one.get("description", "")))
        for one in parameters
        if one["in"] == "query"
    ]
    answer, envelope = answer_of(raw, said, node)
    listed = said.get("list")
    return Operation(
        id, method, path, clean(node["summary"]), resource, name,
        [one["name"] for one in parameters if one["in"] == "path"], query, body_of(node), answer, envelope,
        listed, item_of(raw, listed, answer), not node.get("security"), said.get("once", False),
        said.get("large", False), said.get("credential"), said.get("alias"),
    )  # fmt: skip


def body_of(node: dict[str, Any]) -> str | None:
    content = node.get("requestBody", {}).get("content", {})
    return content["application/json"]["schema"]["$ref"].removeprefix(REF) if content else None


def answer_of(raw: dict[str, Any], said: dict[str, Any], node: dict[str, Any]) -> tuple[Type | None, str | None]:
    """What stands in `data`, and the name of an envelope that has more keys than the three."""
    content = next(
        (node["responses"][code].get("content") for code in ("200", "201") if code in node["responses"]), None
    )
    if not content:
        return None, None
    name = content["application/json"]["schema"]["$ref"].removeprefix(REF)
    if "answer" in said:
        return Type("ref", said["answer"]), None
    if name == "Done":
        return Type("null"), None
    if name.startswith("Envelope_"):
        inner = name.removeprefix("Envelope_")
        is_list = inner.startswith("Vec_")
        inner = inner.removeprefix("Vec_")
        if inner not in raw:
            raise Mismatch(f"{name}: there is no schema {inner}")
        one = Type("ref", inner)
        return (Type("list", items=[one]) if is_list else one), None
    return type_of(raw[name]["properties"]["data"]), name


def item_of(raw: dict[str, Any], listed: dict[str, str] | None, answer: Type | None) -> Type | None:
    if not listed:
        return None
    parts = listed["items"].split(".")[1:]
    type = answer
    for part in parts:
        type = type_of(raw[type.name]["properties"][part])
    return type.items[0]


def reach(schemas: dict[str, Schema], types: list[Type]) -> set[str]:
    """The names of all schemas that are reached from the types."""
    found: set[str] = set()
    todo = list(types)
    while todo:
        type = todo.pop()
        todo.extend(type.items)
        if type.kind == "ref" and type.name not in found:
            found.add(type.name)
            one = schemas[type.name]
            todo.extend([item.type for item in one.fields] + ([one.type] if one.type else []))
            if one.parent:
                todo.append(Type("ref", one.parent))
    return found


def all_fields(model: Model, name: str) -> list[Field]:
    """The fields with those of the parent; its own win."""
    one = model.schemas[name]
    own = {item.name for item in one.fields}
    above = all_fields(model, one.parent) if one.parent else []
    return [item for item in above if item.name not in own] + one.fields


def codes(root: Path) -> list[str]:
    """The codes of docs/errors.md."""
    found = set()
    for line in (root / "docs/errors.md").read_text().splitlines():
        columns = line.split(" | ")
        if line.startswith("| ") and len(columns) >= 3:
            found |= set(re.findall(r"`([A-Z][A-Z0-9_]+)`", columns[1]))
    return sorted(found)


def leaves(root: Path) -> list[str]:
    """The permission paths of docs/permissions.md."""
    return re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)+)` \|", (root / "docs/permissions.md").read_text(), re.MULTILINE)


def tree(paths: list[str]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in paths:
        node = root
        *above, leaf = path.split(".")
        for part in above:
            node = node.setdefault(part, {})
        node[leaf] = True
    return root


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).replace("O_Auth", "oauth").lower()


def pascal(name: str) -> str:
    return name[0].upper() + name[1:]
