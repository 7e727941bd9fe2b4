"""Points Google's clients at the double, and holds every answer against the vendor's descriptions."""

import json
import os
import re
import socket
import sys
import time
from pathlib import Path

import google.auth
import google.auth._regional_access_boundary_utils
import google_auth_httplib2
import googleapiclient.discovery_cache
import httplib2
import jsonschema
import requests
from google.cloud import dns
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

URL = os.environ["DOUBLE_URL"]
KEY = os.environ["DOUBLE_KEY"]
PROJECT = os.environ["DOUBLE_PROJECT"]
ZONE = os.environ.get("DOUBLE_ZONE", "example-org")
NAME = "example.org."
DNS_SCOPE = "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
ALL_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


# --- Nothing leaves this machine ------------------------------------------------------------------

_connect = socket.socket.connect


def _loopback_only(self, address):
    if self.family != socket.AF_UNIX and not str(address[0]).startswith("127."):
        raise OSError(f"not on loopback: {address}")
    return _connect(self, address)


def _elsewhere(name, *_, **__):
    raise OSError(f"no name is looked up here: {name}")


_getaddrinfo = socket.getaddrinfo
socket.socket.connect = _loopback_only
socket.getaddrinfo = lambda name, *more, **how: (
    _getaddrinfo if str(name).startswith("127.") else _elsewhere
)(name, *more, **how)

# Where an account may be used from, google-auth asks beside its calls, of a fixed host.
_locations = google.auth._regional_access_boundary_utils
_locations.get_service_account_rab_endpoint = (
    lambda email: f"{URL}/v1/projects/-/serviceAccounts/{email}/allowedLocations"
)
_locations.get_workload_identity_pool_rab_endpoint = (
    lambda number, pool: f"{URL}/v1/projects/{number}/locations/global/workloadIdentityPools/{pool}/allowedLocations"
)


# --- The vendor's descriptions -------------------------------------------------------------------


def _description(name):
    folder = Path(googleapiclient.discovery_cache.__file__).parent
    return json.loads((folder / "documents" / f"{name}.json").read_text())


def _strict(schema):
    """Discovery's dialect as JSON schema, with no name allowed that is not described."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": "#/definitions/" + schema["$ref"]}
    out = {}
    for word in ("type", "enum", "items", "additionalProperties"):
        if word in schema and schema[word] != "any":
            out[word] = _strict(schema[word])
    if "pattern" in schema:
        out["pattern"] = f"^(?:{schema['pattern']})$"
    if "properties" in schema:
        out["properties"] = {name: _strict(own) for name, own in schema["properties"].items()}
        out.setdefault("additionalProperties", False)
    limits = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}
    if schema.get("format") in limits:
        out["minimum"], out["maximum"] = limits[schema["format"]]
    if schema.get("format") == "uint64":
        out["pattern"] = "^[0-9]+$"
    if schema.get("format") == "date-time":
        out["format"] = "date-time"
    return out


class Description:
    """One service's methods, and what goes in and comes out of each."""

    def __init__(self, name, prefix):
        document = _description(name)
        self.definitions = {name: _strict(own) for name, own in document["schemas"].items()}
        self.methods = []
        self._collect(document, prefix)

    def _collect(self, resource, prefix):
        for method in resource.get("methods", {}).values():
            path = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(prefix + method["path"]))
            self.methods.append((method, re.compile(f"^{path}$")))
        for inner in resource.get("resources", {}).values():
            self._collect(inner, prefix)

    def method(self, verb, path):
        found = [own for own, pattern in self.methods if own["httpMethod"] == verb and pattern.match(path)]
        return found[0] if found else None

    def check(self, what, body):
        schema = {"$ref": "#/definitions/" + what["$ref"], "definitions": self.definitions}
        jsonschema.Draft4Validator(schema).validate(body)


DESCRIPTIONS = [Description("dns.v1", "/"), Description("compute.v1", "/compute/v1/")]
CHECKED = {}


def _given(body):
    if isinstance(body, dict):
        return {name: _given(own) for name, own in body.items() if own is not None}
    return body


def _holds(verb, url, sent, status, answered, tolerant=False):
    """Fails when a request or an answer is none by the vendor's description."""
    path = url.removeprefix(URL).split("?")[0]
    if not path.startswith(("/dns/", "/compute/")):
        return
    for description in DESCRIPTIONS:
        method = description.method(verb, path)
        if method is None:
            continue
        CHECKED[method["id"]] = CHECKED.get(method["id"], 0) + 1
        if status >= 400:
            error = json.loads(answered)["error"]
            assert error["code"] == status and error["message"], error
            assert all({"message", "domain", "reason"} <= one.keys() for one in error["errors"]), error
            return
        if sent and not tolerant:
            # In a patch, null takes a field out.
            description.check(method["request"], _given(json.loads(sent)))
        if "response" in method:
            description.check(method["response"], json.loads(answered))
        return
    raise AssertionError(f"no method of the vendor's: {verb} {path}")


class Checked(httplib2.Http):
    """The transport of google-api-python-client. What a test sends wrong on purpose is refused."""

    def request(self, uri, method="GET", body=None, headers=None, **more):
        response, content = super().request(uri, method=method, body=body, headers=headers, **more)
        _holds(method, uri, body, response.status, content)
        return response, content


_send = requests.Session.send


def _checked_send(self, request, **more):
    response = _send(self, request, **more)
    # google-cloud-dns writes its TTLs as text, which the service takes.
    _holds(request.method, request.url, request.body, response.status_code, response.content, tolerant=True)
    return response


requests.Session.send = _checked_send


# --- Clients -------------------------------------------------------------------------------------


def credentials(*scopes):
    return service_account.Credentials.from_service_account_file(KEY, scopes=scopes or (ALL_SCOPE,))


def api(name="dns", own=None):
    http = google_auth_httplib2.AuthorizedHttp(own or credentials(), http=Checked(timeout=20))
    options = {"api_endpoint": URL if name == "dns" else f"{URL}/compute/v1/"}
    return build(name, "v1", http=http, client_options=options, static_discovery=True)


def cloud(own=None):
    """google-cloud-dns' client."""
    own = own or credentials(DNS_SCOPE)
    return dns.Client(project=PROJECT, credentials=own, client_options={"api_endpoint": URL})


def zone(client=None):
    return (client or cloud()).zone(ZONE, NAME)


# --- Words ---------------------------------------------------------------------------------------


def rrset(name, rtype, data, ttl=300):
    return {"name": name, "type": rtype, "ttl": ttl, "rrdatas": data}


def routed(name, rtype, policy, ttl=300):
    return {"name": name, "type": rtype, "ttl": ttl, "routingPolicy": policy}


def change(service, additions=(), deletions=()):
    body = {"additions": list(additions), "deletions": list(deletions)}
    return service.changes().create(project=PROJECT, managedZone=ZONE, body=body).execute()


def everything(service):
    """All sets of the zone, page by page, by name and type."""
    found, request = {}, service.resourceRecordSets().list(project=PROJECT, managedZone=ZONE)
    while request is not None:
        page = request.execute()
        found.update({(one["name"], one["type"]): one for one in page["rrsets"]})
        request = service.resourceRecordSets().list_next(request, page)
    return found


def refused(call, code, reason, *words):
    """Fails unless the service refuses, with that status and reason, and says these words."""
    try:
        call()
    except HttpError as error:
        said = json.loads(error.content)["error"]
        got = (error.status_code, said["errors"][0]["reason"])
        assert got == (code, reason), f"{got}, not {(code, reason)}: {said['message']}"
        for word in words:
            assert word in said["message"], f"{word!r} not in {said['message']!r}"
        return said
    raise AssertionError(f"not refused with {code} {reason}")


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def wait(service, operation):
    """Until an operation of compute is done."""
    while operation["status"] != "DONE":
        time.sleep(0.05)
        get = service.globalOperations().get(project=PROJECT, operation=operation["name"])
        operation = get.execute()
    assert "error" not in operation, operation
    return operation


def main(scenarios):
    name, *arguments = sys.argv[1:]
    scenarios[name](*arguments)
    print(f"{name}: {sum(CHECKED.values())} answers as described: {sorted(CHECKED)}")
