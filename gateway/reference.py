"""The reference for people: the OpenAPI document as one page of plain HTML, without a script, so it works anywhere."""

import re
from collections.abc import Iterable
from html import escape

from gateway.schemas import Json, resolve

STYLE = "/docs/reference.css"
ICON = "/assets/emblem.svg"
EVENTS = "text/event-stream"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def h(tag: str, *children: "str | list[Html]", **attributes: str) -> Html:
    """Makes an element. Text is escaped, unless it is HTML already; ``class_`` is the attribute ``class``."""
    told = "".join(f' {name.rstrip("_")}="{escape(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{told}>{_join(children)}</{tag}>")


def render(document: Json) -> str:
    """Returns the page.

    Args:
        document: As ``openapi.document`` makes it.
    """
    operations: dict[str, list[Html]] = {tag["name"]: [] for tag in document["tags"]}
    links: dict[str, list[Html]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation["tags"][0]
            links[tag].append(h("li", _link(operation["operationId"])))
            operations[tag].append(_operation(path, method.upper(), operation, document))
    title = f"{document['info']['title']} over HTTP"
    head = h(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        h("title", title),
        Html(f'<link rel="icon" type="image/svg+xml" href="{ICON}"><link rel="stylesheet" href="{STYLE}">'),
    )
    contents = h(
        "nav",
        *(h("section", h("h2", _link(tag)), h("ul", each)) for tag, each in links.items()),
        h("section", h("h2", _link("Errors")), h("h2", _link("Types"))),
    )
    main = h(
        "main",
        h("h1", title),
        _prose(document["info"]["description"]),
        h(
            "p",
            "The same for programs: ",
            h("a", "OpenAPI 3.1", href="/openapi.json"),
            ", and ",
            h("a", "a collection", href="/collection.json"),
            " for Postman, Bruno and other clients.",
        ),
        *(
            h("section", h("h2", tag["name"]), _prose(tag["description"]), operations[tag["name"]], id=tag["name"])
            for tag in document["tags"]
        ),
        _errors(document["components"]["responses"]),
        h(
            "section",
            h("h2", "Types"),
            [_type(name, schema) for name, schema in sorted(document["components"]["schemas"].items())],
            id="Types",
        ),
    )
    return "<!doctype html>\n" + h("html", head, h("body", contents, main), lang="en")


def _operation(path: str, method: str, operation: Json, document: Json) -> Html:
    parts = [
        h("h3", operation["operationId"]),
        h("p", h("b", method, class_=method.lower()), " ", h("code", path), class_="route"),
        _prose(operation["description"]),
    ]
    if parameters := operation.get("parameters"):
        rows = [_row(each["name"], f"{each['in']}, ", each["schema"], each["description"]) for each in parameters]
        parts += [h("h4", "Parameters"), h("table", rows)]
    if body := operation.get("requestBody"):
        schema = _media(body)["schema"]
        parts += [h("h4", "Body"), h("p", _type_of(schema)), _fields(resolve(schema, document))]
    answers = []
    for status, response in operation["responses"].items():
        if "$ref" in response:
            answers.append(h("a", status, href=f"#{status}"))
        elif content := response.get("content"):
            ((kind, media),) = content.items()
            answers.append(
                h("span", status, " ", _type_of_events(media) if kind == EVENTS else _type_of(media["schema"]))
            )
        else:
            answers.append(h("span", status))
    parts += [h("h4", "Answers"), h("p", answers, class_="answers")]
    return h("article", *parts, id=operation["operationId"])


def _errors(responses: Json) -> Html:
    # Their names are the phrases of HTTP, and the numbers those of the statuses that operations refer to.
    rows = [
        h(
            "tr",
            h("th", str(response["x-status"]), id=str(response["x-status"])),
            h("td", _inline(response["description"])),
        )
        for response in responses.values()
    ]
    return h(
        "section", h("h2", "Errors"), h("p", "An error is an ", _link("Error"), "."), h("table", rows), id="Errors"
    )


def _type(name: str, schema: Json) -> Html:
    content = [_prose(schema.get("description", "")), _fields(schema)]
    if "anyOf" in schema:
        content.append(h("p", "One of ", *_between([_type_of(each) for each in schema["anyOf"]]), "."))
    return h("article", h("h3", name), *content, id=name)


def _fields(schema: Json) -> Html:
    rows = [_row(name, "", each, each.get("description", "")) for name, each in schema.get("properties", {}).items()]
    return h("table", rows) if rows else Html()


def _row(name: str, where: str, schema: Json, description: str) -> Html:
    nested = _fields(schema) if "properties" in schema else Html()
    return h(
        "tr",
        h("th", h("code", name)),
        h("td", where, _type_of(schema), class_="type"),
        h("td", _inline(description), nested),
    )


def _type_of(schema: Json) -> Html:
    """Returns a type in words, with a link where it has a name."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return h("code", f'"{schema["const"]}"')
    if schema["type"] == "array":
        return Html("list of " + _type_of(schema["items"]))
    told = {"int64": "64-bit integer, as a string", "uint64": "64-bit integer, as a string", "date-time": "time"}
    return _join([told.get(schema.get("format", ""), str(schema["type"]))])


def _type_of_events(media: Json) -> Html:
    """Returns the type of the messages, which are the first kind of events."""
    message = media["schema"]["anyOf"][0]["properties"]["data"]["contentSchema"]
    return Html("events, each " + _type_of(message))


def _media(holder: Json) -> Json:
    media: Json = holder["content"]["application/json"]
    return media


def _link(name: str) -> Html:
    return h("a", name, href=f"#{name}")


def _prose(text: str) -> Html:
    """Returns paragraphs, and lists whose lines begin with a hyphen."""
    parts = []
    for paragraph in filter(None, text.split("\n\n")):
        if paragraph.startswith("- "):
            parts.append(h("ul", [h("li", _inline(line.removeprefix("- "))) for line in paragraph.split("\n")]))
        else:
            parts.append(h("p", _inline(paragraph)))
    return _join(parts)


def _inline(text: str) -> Html:
    """Returns a line in which what stands between backticks is code."""
    pieces = re.split(r"`([^`]+)`", text)
    return _join(h("code", piece) if index % 2 else piece for index, piece in enumerate(pieces))


def _between(parts: list[Html]) -> list[Html]:
    return [piece for part in parts for piece in (Html(", "), part)][1:]


def _join(parts: "Iterable[str | list[Html]]") -> Html:
    texts: list[str] = []
    for part in parts:
        texts += part if isinstance(part, list) else [part if isinstance(part, Html) else escape(part)]
    return Html("".join(texts))
