"""Writes the types and resource classes of the TypeScript SDK."""

from __future__ import annotations

from typing import Any

from .model import Field, Model, Operation, Schema, Type, all_fields, pascal, tree

HEAD = "// Written by sdk/emit from openapi.json and sdk/names.json. Do not edit.\n"


def types(model: Model) -> str:
    out = [HEAD]
    out.append(
        "\n/** A machine code of docs/errors.md. Servers of a newer version may send others. */\n"
        "export type ErrorCode =\n"
    )
    out += [f"  | '{code}'\n" for code in model.codes]
    out.append("  | (string & {});\n")
    out.append(permissions(model))
    for name in sorted(model.schemas):
        if name in model.inputs | model.outputs:
            out.append(schema(model, model.schemas[name]))
    for one in model.operations:
        if one.query:
            out.append(f"\n/** Query of `{one.resource}.{one.name}`. */\nexport interface {query_name(one)} {{\n")
            out += [property(model, item, is_input=True) for item in one.query]
            out.append("}\n")
    return "".join(out)


def permissions(model: Model) -> str:
    def node(node: dict[str, Any], depth: int) -> str:
        pad = "  " * depth
        lines = []
        for name, below in node.items():
            kind = "boolean" if below is True else node_text(below, depth)
            lines.append(f"{pad}{name}?: {kind} | undefined;\n")
        return "".join(lines)

    def node_text(below: dict[str, Any], depth: int) -> str:
        return "{\n" + node(below, depth + 1) + "  " * depth + "}"

    text = (
        "A tree of permissions: `true` grants a leaf, a leaf left out is not granted. Add leaves of your own by\n"
        " * declaration merging."
    )
    return f"\n/**\n * {text}\n */\nexport interface Permissions {{\n{node(tree(model.leaves), 1)}}}\n"


def schema(model: Model, one: Schema) -> str:
    head = comment(one.text, "")
    if one.type is None:
        is_input = one.name in model.inputs
        extends = f" extends {one.parent}" if one.parent else ""
        body = "".join(property(model, item, is_input, one.name) for item in one.fields)
        return f"\n{head}export interface {one.name}{extends} {{\n{body}}}\n"
    return f"\n{head}export type {one.name} = {union(model, one.type)};\n"


def union(model: Model, type: Type) -> str:
    """A union of objects in which each member excludes the keys that only others have, so that one key tells
    which it is."""
    members = [item.name for item in type.items if item.kind == "ref"]
    if type.kind != "union" or len(members) != len(type.items) or any(model.schemas[name].type for name in members):
        return text(model, type)
    keys = {name: {item.name for item in all_fields(model, name)} for name in members}
    needed = [item.name for name in members for item in all_fields(model, name) if item.is_required]
    parts = []
    for name in members:
        others = sorted({key for key in needed if key not in keys[name]})
        excluded = " ".join(f"{key}?: never;" for key in others)
        parts.append(f"\n  | ({name} & {{ {excluded} }})" if others else f"\n  | {name}")
    return "".join(parts)


def property(model: Model, item: Field, is_input: bool, owner: str = "") -> str:
    path = f"{owner}.{item.name}"
    kind = "true" if path in model.names["always_true"] else text(model, item.type)
    mark = "" if item.is_required else "?"
    if (is_input and not item.is_required) or path in model.names["may_be_undefined"]:
        kind += " | undefined"
    return f"{comment(item.text, '  ')}  {item.name}{mark}: {kind};\n"


def comment(text: str, pad: str) -> str:
    return f"{pad}/** {text.replace('*/', '* /')} */\n" if text else ""


def text(model: Model, type: Type) -> str:
    match type.kind:
        case "ref":
            return type.name
        case "string" | "secret" | "datetime":
            return "string"
        case "integer" | "number":
            return "number"
        case "boolean" | "null":
            return type.kind
        case "any":
            return "unknown"
        case "object":
            return "Record<string, unknown>"
        case "permissions":
            return "Permissions"
        case "list":
            inner = text(model, type.items[0])
            return f"({inner})[]" if " " in inner and not inner.endswith(">") else f"{inner}[]"
        case "map":
            return f"Record<string, {text(model, type.items[0])}>"
        case "enum":
            return " | ".join(f"'{value}'" for value in type.values)
        case "union":
            return " | ".join(dict.fromkeys(text(model, item) for item in type.items))
    raise ValueError(type.kind)


def query_name(one: Operation) -> str:
    return f"{pascal(one.resource)}{pascal(one.name)}Query"


def resources(model: Model) -> str:
    out = [HEAD, "\nimport type { CallOptions, Core, Envelope } from './core.js';\n"]
    out.append(
        "import { EventsBase, Resource } from './resource.js';\nimport type { ListPromise, Paged } from './list.js';\n"
    )
    names = list(dict.fromkeys(one.resource for one in model.operations))
    bodies = {name: [one for one in model.operations if one.resource == name] for name in names}
    aliases = {
        name: [one for one in model.operations if one.alias and one.alias.split(".")[0] == name] for name in names
    }
    code = []
    for name in names:
        base = "EventsBase" if name == "events" else "Resource"
        code.append(f"\n/** `client.api.{name}` */\nexport class {pascal(name)} extends {base} {{\n")
        code.append("\n".join([method(model, one) for one in bodies[name]] + [alias(one) for one in aliases[name]]))
        code.append("}\n")
    code.append("\n/** All resources: `client.api`. */\nexport class Api {\n")
    code += [f"  readonly {name}: {pascal(name)};\n" for name in names]
    code.append("\n  constructor(core: Core) {\n")
    code += [f"    this.{name} = new {pascal(name)}(core);\n" for name in names]
    code.append("  }\n}\n")
    out.append("import type * as t from './types.js';\n")
    return "".join(out + code)


def method(model: Model, one: Operation) -> str:
    required = [f"{name}: string" for name in one.arguments]
    extra = []
    if one.credential:
        required.insert(0, f"{one.credential}: string")
        extra.append(f"token: {one.credential}")
    if one.arguments:
        extra.append(f"args: [{', '.join(one.arguments)}]")
    if one.body:
        fields = all_fields(model, one.body)
        may_be_empty = one.method == "POST" and not any(item.is_required for item in fields)
        required.append(f"data: t.{one.body}" + (" = {}" if may_be_empty else ""))
        extra.append("body: data")
    if one.query:
        needed = any(item.is_required for item in one.query)
        required.append(f"query{'' if needed else '?'}: t.{query_name(one)}")
        extra.append("query")
    required.append("options?: CallOptions")
    if one.is_open and not one.credential:
        extra.append("anonymous: true")
    if one.once:
        extra.append("once: true" if one.once is True else f"once: data.{one.once} != null")
    if one.is_large:
        extra.append("large: true")
    route = f"'{one.method} {one.path}'"
    details = f"{{ {', '.join(extra)} }}" if extra else "{}"
    doc = f"  /** {one.text}. `{one.method} {one.path}` */\n"
    kind = answer(model, one)
    if one.listed:
        item = f"t.{one.item.name}"
        rule = ", ".join(f"{key}: '{value}'" for key, value in one.listed.items())
        call = f"return this.core.list({route}, {details}, {{ {rule} }} satisfies Paged, options);"
        return f"{doc}  {one.name}({', '.join(required)}): ListPromise<{kind}, {item}> {{\n    {call}\n  }}\n" + more(
            one, required, item
        )
    call = f"return this.core.call({route}, {details}, options);"
    return f"{doc}  {one.name}({', '.join(required)}): Promise<{kind}> {{\n    {call}\n  }}\n"


def more(one: Operation, required: list[str], item: str) -> str:
    """The names that the published SDK has for walking a list: `listAll`, `listIterator`."""
    passed = ", ".join(part.split(":")[0].rstrip("?") for part in required)
    return (
        f"\n  /** All of `{one.name}`, page after page. */\n"
        f"  {one.name}All({', '.join(required)}): Promise<{item}[]> {{\n"
        f"    return this.{one.name}({passed}).toArray();\n  }}\n"
        f"\n  /** Each of `{one.name}`, page after page. */\n"
        f"  {one.name}Iterator({', '.join(required)}): AsyncIterable<{item}> {{\n"
        f"    return this.{one.name}({passed});\n  }}\n"
    )


def alias(one: Operation) -> str:
    name = one.alias.split(".")[1]
    return (
        f"  /** The same as `{one.resource}.{one.name}`. `{one.method} {one.path}` */\n"
        f"  {name}(data: t.{one.body}, options?: CallOptions): Promise<Envelope<t.{one.answer.name}>> {{\n"
        f"    return this.core.call('{one.method} {one.path}', {{ body: data, anonymous: true }}, options);\n  }}\n"
    )


def answer(model: Model, one: Operation) -> str:
    if one.answer is None:
        return "void"
    if one.envelope:
        return f"t.{one.envelope}"
    if one.answer.kind == "null":
        return "Envelope<null>"
    if one.answer.kind == "list":
        return f"Envelope<t.{one.answer.items[0].name}[]>"
    return f"Envelope<t.{one.answer.name}>"


def write(model: Model) -> dict[str, str]:
    for one in model.operations:
        if one.envelope:
            model.outputs.add(one.envelope)
            for item in model.schemas[one.envelope].fields:
                model.outputs |= {item.type.name} if item.type.kind == "ref" else set()
    return {"sdk/typescript/src/types.ts": types(model), "sdk/typescript/src/resources.ts": resources(model)}
