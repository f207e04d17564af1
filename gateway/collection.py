"""The OpenAPI document as a collection of requests that API clients open: Postman's format 2.1, which others read, too.

What identifies things is a variable of the collection, to be set once for all requests.
"""

import json
import re
from typing import Any

from gateway.printing import to_json
from gateway.schemas import Json, resolve

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
"""The name of the format. Nothing is loaded from there."""
KNOWN = {"base_url": "http://127.0.0.1:8080", "board": "all"}
"""Variables that have a value from the beginning."""
NEW_ID = "{{$guid}}"
"""What clients replace by a new UUID with every request."""


def collect(document: Json) -> Json:
    """Returns the collection.

    Args:
        document: As ``openapi.document`` makes it.
    """
    folders: dict[str, list[Json]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            folders[operation["tags"][0]].append(_item(path, method.upper(), operation, document))
    items = [
        {"name": tag["name"], "description": tag["description"], "item": folders[tag["name"]]}
        for tag in document["tags"]
    ]
    names = dict.fromkeys(["base_url", *re.findall(r"\{\{(\w+)\}\}", to_json(items))])
    return {
        "info": {"name": document["info"]["title"], "description": document["info"]["description"], "schema": FORMAT},
        "item": items,
        "variable": [{"key": name, "value": KNOWN.get(name, "")} for name in names],
    }


def _item(path: str, method: str, operation: Json, document: Json) -> Json:
    path = re.sub(r"\{(\w+)\}", r"{{\1}}", path)
    url: Json = {"raw": "{{base_url}}" + path, "host": ["{{base_url}}"], "path": path.strip("/").split("/")}
    if query := [each for each in operation.get("parameters", ()) if each["in"] == "query"]:
        url["query"] = [
            {"key": each["name"], "value": "", "description": each["description"], "disabled": True} for each in query
        ]
    request: Json = {"method": method, "header": [], "url": url, "description": operation["description"]}
    request["header"].append({"key": "Accept", "value": next(iter(operation["responses"]["200"]["content"]))})
    if body := operation.get("requestBody"):
        ((kind, media),) = body["content"].items()
        request["header"].append({"key": "Content-Type", "value": kind})
        (example,) = _examples("", media["schema"], document)
        request["body"] = {
            "mode": "raw",
            "raw": json.dumps(example, indent=2),
            "options": {"raw": {"language": "json"}},
        }
    return {"name": operation["operationId"], "request": request, "response": []}


def _examples(name: str, schema: Json, document: Json) -> list[Any]:
    """Returns a value of a schema, of variables and of what numbers are when they are left out; or none at all."""
    schema = resolve(schema, document)
    if schema["type"] == "object":
        fields = {key: _examples(key, each, document) for key, each in schema["properties"].items()}
        return [{key: examples[0] for key, examples in fields.items() if examples}]
    if schema["type"] == "array":
        return [_examples(name, schema["items"], document)]
    if "default" in schema:
        return [schema["default"]]
    if schema["type"] == "string" and not schema.keys() & {"enum", "format"}:
        return [NEW_ID if name == "request_id" else f"{{{{{name}}}}}"]
    return []
