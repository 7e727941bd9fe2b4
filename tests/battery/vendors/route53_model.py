"""Holds every request and answer against botocore's description of Route 53.

botocore itself checks neither enum, pattern, min nor max of a request, and skips in an answer what it
does not know. So requests are checked here by their shapes, and answers by writing again what the
client read: whatever it dropped is then missing.
"""

import datetime
import re
import xml.etree.ElementTree as ElementTree

NAMESPACE = "{https://route53.amazonaws.com/doc/2013-04-01/}"
COMMON = {
    "Throttling": 400,
    "MalformedInput": 400,
    "AccessDenied": 403,
    "InvalidClientTokenId": 403,
    "MissingAuthenticationToken": 403,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}


class Broken(AssertionError):
    """What does not hold to the description."""


def require(holds, why):
    if not holds:
        raise Broken(why)


def scalar(shape, value, where):
    """A value against the constraints of its shape."""
    limits = shape.metadata
    if shape.type_name == "string":
        require(isinstance(value, str), f"{where}: {value!r} is no text")
        if "enum" in limits:
            require(value in limits["enum"], f"{where}: {value!r} is not one of {limits['enum']}")
        if "pattern" in limits:
            pattern = limits["pattern"].replace(r"\p{ASCII}", r"[\x00-\x7f]")
            require(re.fullmatch(pattern, value), f"{where}: {value!r} does not fit {pattern}")
        size = len(value)
    elif shape.type_name in ("integer", "long"):
        require(type(value) is int, f"{where}: {value!r} is no number")
        size = value
    else:
        return
    require(size >= limits.get("min", size), f"{where}: {value!r} is below {limits.get('min')}")
    require(size <= limits.get("max", size), f"{where}: {value!r} is above {limits.get('max')}")


def check(shape, value, where):
    """A value of any shape, all the way down."""
    if shape.type_name == "structure":
        for name in shape.required_members:
            require(name in value, f"{where}.{name} is missing")
        for name, inner in value.items():
            require(name in shape.members, f"{where}.{name} is unknown")
            check(shape.members[name], inner, f"{where}.{name}")
    elif shape.type_name == "list":
        size = len(value)
        require(size >= shape.metadata.get("min", 0), f"{where} has only {size} members")
        require(size <= shape.metadata.get("max", size), f"{where} has {size} members")
        for index, inner in enumerate(value):
            check(shape.member, inner, f"{where}[{index}]")
    else:
        scalar(shape, value, where)


def write(shape, value, element):
    """What the client read, as XML again."""
    if shape.type_name == "structure":
        for name, inner_shape in shape.members.items():
            if inner_shape.serialization.get("location") or name not in value:
                continue
            tag = inner_shape.serialization.get("name", name)
            write(inner_shape, value[name], ElementTree.SubElement(element, NAMESPACE + tag))
    elif shape.type_name == "list":
        tag = shape.member.serialization.get("name", "member")
        for inner in value:
            write(shape.member, inner, ElementTree.SubElement(element, NAMESPACE + tag))
    elif shape.type_name == "boolean":
        element.text = "true" if value else "false"
    elif shape.type_name == "timestamp":
        moment = value.astimezone(datetime.timezone.utc)
        element.text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
    else:
        element.text = str(value)


def flat(element):
    children = [flat(child) for child in element]
    return (element.tag, element.text or "", children)


def watch(client):
    """From now on every call of the client is checked, both ways."""
    seen = {"requests": 0, "answers": 0, "errors": 0, "operations": set()}
    bodies = {}

    def before(params, model, **_):
        require(model.input_shape is None or params is not None, "there is no input")
        check(model.input_shape, params, model.name)
        seen["requests"] += 1
        seen["operations"].add(model.name)

    def raw(operation_model, response_dict, **_):
        bodies[operation_model.name] = response_dict

    def after(parsed, model, http_response, **_):
        body = bodies.pop(model.name)["body"]
        if http_response.status_code >= 300:
            error(model, http_response.status_code, body)
            seen["errors"] += 1
            return
        answer(model, parsed, http_response, body)
        seen["answers"] += 1

    events = client.meta.events
    events.register("provide-client-params.route-53", before)
    events.register("before-parse.route-53", raw)
    events.register("after-call.route-53", after)
    return seen


def answer(model, parsed, response, body):
    status = model.http.get("responseCode", 200)
    require(response.status_code == status, f"{model.name}: {response.status_code}, not {status}")
    shape = model.output_shape
    value = {name: inner for name, inner in parsed.items() if name != "ResponseMetadata"}
    check(shape, value, model.name)
    again = ElementTree.Element(NAMESPACE + shape.name)
    write(shape, value, again)
    require(body.strip(), f"{model.name}: the answer is empty")
    said = flat(ElementTree.fromstring(body))
    require(said == flat(again), f"{model.name}: {said} was read as {flat(again)}")


def error(model, status, body):
    root = ElementTree.fromstring(body)
    require(root.tag == NAMESPACE + "ErrorResponse", f"{model.name}: {root.tag}")
    tags = [child.tag for child in root]
    require(tags == [NAMESPACE + "Error", NAMESPACE + "RequestId"], f"{model.name}: {tags}")
    code = root.find(f"{NAMESPACE}Error/{NAMESPACE}Code").text
    known = {shape.name: shape.metadata.get("error", {}) for shape in model.error_shapes}
    require(code in known or code in COMMON, f"{model.name} does not say {code}")
    wanted = known.get(code, {}).get("httpStatusCode", COMMON.get(code, 400))
    require(status == wanted, f"{model.name}: {code} has status {status}, not {wanted}")
