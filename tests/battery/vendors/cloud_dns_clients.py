"""What Google's own clients do with the double, one scenario by name: cloud_dns_clients.py NAME."""

import os
import time

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import jsonschema
import requests
from google.api_core import exceptions
from google.auth import compute_engine, identity_pool

from cloud_dns_double import (
    ALL_SCOPE, DESCRIPTIONS, DNS_SCOPE, KEY, NAME, PROJECT, URL, ZONE,
    api, change, cloud, credentials, everything, main, raises, refused, rrset, zone,
)

IN = {"project": PROJECT, "managedZone": ZONE}


def descriptions():
    """What the vendor's description does not allow is seen."""
    good = rrset("a.example.org.", "A", ["192.0.2.1"])
    for service, schema, body in [
        (0, "ResourceRecordSet", dict(good, ttll=1)),
        (0, "ResourceRecordSet", dict(good, ttl="300")),
        (0, "ResourceRecordSet", dict(good, routingPolicy={"geo": {"items": [{"weight": 1}]}})),
        (0, "Change", {"additions": [dict(good, ttl=2**31)], "status": "pending"}),
        (0, "Change", {"status": "ready"}),
        (0, "ManagedZone", {"id": "number one"}),
        (1, "HealthCheck", {"name": "Upper"}),
        (1, "HealthCheck", {"type": "PING"}),
    ]:
        check = lambda: DESCRIPTIONS[service].check({"$ref": schema}, body)
        raises(jsonschema.ValidationError, check)
    DESCRIPTIONS[0].check({"$ref": "ResourceRecordSet"}, good)


# --- Tokens --------------------------------------------------------------------------------------


def tokens_of_a_service_account():
    assert [one.dns_name for one in cloud().list_zones()] == [NAME]
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = KEY
    found, project = google.auth.default(scopes=[DNS_SCOPE])
    assert project == PROJECT
    assert zone(cloud(found)).exists()


def tokens_of_the_metadata_server():
    found, project = google.auth.default(scopes=[ALL_SCOPE])
    assert isinstance(found, compute_engine.Credentials), found
    assert project == PROJECT
    assert zone(cloud(found)).exists()
    bare = requests.get(f"{URL}/computeMetadata/v1/instance/service-accounts/default/token", timeout=10)
    assert bare.status_code == 403, "the metadata server wants Metadata-Flavor"


def tokens_of_a_federated_workload(file):
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = file
    found, project = google.auth.default(scopes=[DNS_SCOPE])
    assert project == PROJECT, project
    assert zone(cloud(found)).exists()


def tokens_for_nothing_else(file):
    wrong = credentials(DNS_SCOPE)
    wrong._service_account_email = "nobody@example.com"
    error = raises(google.auth.exceptions.RefreshError, lambda: list(cloud(wrong).list_zones()))
    assert "invalid_grant" in str(error), error
    error = raises(
        google.auth.exceptions.RefreshError,
        lambda: list(cloud(credentials("https://www.googleapis.com/auth/nothing")).list_zones()),
    )
    assert "invalid_scope" in str(error), error
    foreign = identity_pool.Credentials.from_file(file, scopes=[DNS_SCOPE])
    request = google.auth.transport.requests.Request()
    error = raises(google.auth.exceptions.OAuthError, lambda: foreign.refresh(request))
    assert "invalid_grant" in str(error), error
    # Signed by another key: the header names ours.
    from cryptography.hazmat.primitives.asymmetric import rsa
    from google.auth.crypt import RSASigner

    good = credentials(DNS_SCOPE)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good._signer = RSASigner(key, key_id=good._signer.key_id)
    error = raises(google.auth.exceptions.RefreshError, lambda: list(cloud(good).list_zones()))
    assert "Invalid JWT Signature" in str(error), error
    # Good for reading only, and for no health checks.
    reader = api(own=credentials(DNS_SCOPE.replace("readwrite", "readonly")))
    assert reader.managedZones().list(project=PROJECT).execute()
    additions = [rrset("a.example.org.", "A", ["192.0.2.1"])]
    refused(lambda: change(reader, additions), 403, "insufficientPermissions", "scopes")
    checks = api("compute", credentials(DNS_SCOPE)).healthChecks()
    refused(lambda: checks.list(project=PROJECT).execute(), 403, "insufficientPermissions")
    bare = requests.get(f"{URL}/dns/v1/projects/{PROJECT}", timeout=10)
    assert bare.status_code == 401 and bare.json()["error"]["status"] == "UNAUTHENTICATED"


# --- Zones ---------------------------------------------------------------------------------------


def zones(many):
    client = cloud()
    names = [one.name for one in client.list_zones()]
    assert len(names) == int(many) and names == sorted(names), names
    pages = client.list_zones(max_results=2)
    assert [one.name for one in pages] == names[:2]
    service = api()
    found, request = [], service.managedZones().list(project=PROJECT, maxResults=2)
    while request is not None:
        page = request.execute()
        assert len(page["managedZones"]) <= 2
        found += [one["name"] for one in page["managedZones"]]
        request = service.managedZones().list_next(request, page)
    assert found == names
    page = service.managedZones().list(project=PROJECT, dnsName=NAME).execute()
    [one] = page["managedZones"]
    assert one["name"] == ZONE and one["dnsName"] == NAME and len(one["nameServers"]) == 4
    by_number = service.managedZones().get(project=PROJECT, managedZone=one["id"]).execute()
    assert by_number == one
    own = zone(client)
    own.reload()
    assert own.zone_id == one["id"] and own.name_servers == one["nameServers"] and own.created
    assert not client.zone("nowhere", "nowhere.org.").exists()
    error = raises(exceptions.NotFound, client.zone("nowhere", "nowhere.org.").reload)
    assert error.errors[0]["reason"] == "notFound" and "parameters.managedZone" in error.message
    kinds = {one.record_type: one for one in own.list_resource_record_sets()}
    assert kinds.keys() == {"NS", "SOA"}
    assert sorted(kinds["NS"].rrdatas) == sorted(own.name_servers) and kinds["SOA"].ttl == 21600
    get = service.managedZones().list(project=PROJECT, pageToken="nonsense")
    refused(lambda: get.execute(), 400, "invalid", "parameters.pageToken")
    refused(lambda: service.managedZones().list(project="another").execute(), 403, "forbidden")


# --- Record sets ---------------------------------------------------------------------------------

# As written, and as it comes back.
TYPES = [
    ("a", "A", ["192.0.2.1", "192.0.2.2"], None),
    ("six", "AAAA", ["2001:db8:0:0:0:0:0:1", "2001:DB8::2"], ["2001:db8::1", "2001:db8::2"]),
    ("alias", "CNAME", ["Target.Example.NET."], ["target.example.net."]),
    ("mail", "MX", ["10 mx1.example.net.", "20 mx2.example.net."], None),
    ("null", "MX", ["0 ."], None),
    ("_sip._tcp", "SRV", ["10 60 5060 sip.example.org."], None),
    ("text", "TXT", ['"one two"', "bare", r'"a \"quote\" and \\"', '"' + "x" * 255 + '"'],
     ['"one two"', '"bare"', r'"a \"quote\" and \\"', '"' + "x" * 255 + '"']),
    ("words", "TXT", ["v=spf1 -all"], ['"v=spf1" "-all"']),
    ("caa", "CAA", ['0 issue "letsencrypt.org"'], None),
    ("child", "NS", ["ns1.example.net.", "ns2.example.net."], None),
    ("child", "DS", ["12345 13 2 " + "AB" * 32], ["12345 13 2 " + "ab" * 32]),
    ("4.3.2", "PTR", ["host.example.org."], None),
    ("", "ALIAS", ["lb.example.net."], None),
    ("*.wild", "A", ["192.0.2.9"], None),
    ("UPPER", "A", ["192.0.2.3"], None),
    ("svc", "HTTPS", ["1 . alpn=h2"], None),
]


def _full(label):
    return f"{label}.{NAME}".lstrip(".")


def record_sets():
    own = zone()
    changes = own.changes()
    for label, rtype, data, _ in TYPES:
        changes.add_record_set(own.resource_record_set(_full(label), rtype, 300, data))
    changes.create()
    while changes.status != "done":
        assert changes.status == "pending"
        time.sleep(0.05)
        changes.reload()
    found = {(one.name, one.record_type): one for one in own.list_resource_record_sets()}
    assert len(found) == len(TYPES) + 2
    for label, rtype, data, back in TYPES:
        one = found[_full(label).lower(), rtype]
        assert one.rrdatas == (back or data) and one.ttl == 300, (one.name, one.rrdatas)
    changes = own.changes()
    for label, rtype, data, _ in TYPES:  # in other words than it is listed, and in another order
        changes.delete_record_set(own.resource_record_set(_full(label), rtype, 300, data[::-1]))
    changes.create()
    assert len(list(own.list_resource_record_sets())) == 2


def single_sets():
    sets = api().resourceRecordSets()
    at = {"name": "one.example.org.", "type": "A"}
    made = sets.create(**IN, body=rrset("one.example.org.", "A", ["192.0.2.1"])).execute()
    assert made["kind"] == "dns#resourceRecordSet"
    assert sets.get(**IN, **at).execute() == made
    again = lambda: sets.create(**IN, body=rrset("one.example.org.", "A", ["192.0.2.2"])).execute()
    refused(again, 409, "alreadyExists", "entity.rrset", "one.example.org. (A)")
    patched = sets.patch(**IN, **at, body={"ttl": 60}).execute()
    assert patched["ttl"] == 60 and patched["rrdatas"] == ["192.0.2.1"]
    assert sets.patch(**IN, **at, body={"rrdatas": ["192.0.2.7"]}).execute()["rrdatas"] == ["192.0.2.7"]
    listed = sets.list(**IN, name="one.example.org.").execute()["rrsets"]
    assert listed == [sets.get(**IN, **at).execute()]
    assert sets.list(**IN, name="one.example.org.", type="AAAA").execute()["rrsets"] == []
    refused(lambda: sets.list(**IN, type="A").execute(), 400, "required", "parameters.name")
    assert sets.delete(**IN, **at).execute() == {}
    for call in (sets.get, sets.delete):
        refused(lambda: call(**IN, **at).execute(), 404, "notFound", "one.example.org. (A)")
    wild = rrset("*.wild.example.org.", "TXT", ['"x"'])
    sets.create(**IN, body=wild).execute()
    assert sets.get(**IN, name="*.wild.example.org.", type="TXT").execute()["rrdatas"] == ['"x"']
    for rtype in ("SOA", "NS"):
        gone = lambda: sets.delete(**IN, name=NAME, type=rtype).execute()
        refused(gone, 400, "invalidZoneApex", rtype)


def pages():
    service, names = api(), [f"n{at:03}.example.org." for at in range(250)]
    change(service, [rrset(name, "A", ["192.0.2.1"]) for name in names])
    assert len(everything(service)) == 252
    assert len(list(zone().list_resource_record_sets())) == 252
    sets = service.resourceRecordSets()
    first = sets.list(**IN, maxResults=7).execute()
    assert len(first["rrsets"]) == 7
    # What has gone in between moves nothing.
    last = first["rrsets"][-1]
    sets.delete(**IN, name=last["name"], type=last["type"]).execute()
    second = sets.list(**IN, maxResults=7, pageToken=first["nextPageToken"]).execute()
    assert second["rrsets"][0]["name"] == names[5], second["rrsets"][0]
    for most in ("0", "-1"):
        refused(lambda: sets.list(**IN, maxResults=int(most)).execute(), 400, "invalid", "maxResults")


def changes():
    service = api()
    made = change(service, [rrset("a.example.org.", "A", ["192.0.2.1"])])
    assert made["status"] == "pending" and made["id"] == "1" and made["startTime"]
    get = lambda: service.changes().get(**IN, changeId=made["id"]).execute()
    while get()["status"] != "done":
        time.sleep(0.05)
    change(service, [rrset("b.example.org.", "A", ["192.0.2.2"])])
    numbers = lambda **how: [one["id"] for one in service.changes().list(**IN, **how).execute()["changes"]]
    assert numbers() == ["0", "1", "2"]
    assert numbers(sortBy="changeSequence", sortOrder="descending", maxResults=2) == ["2", "1"]
    refused(lambda: service.changes().get(**IN, changeId="99").execute(), 404, "notFound", "changeId")
    assert [one.name for one in zone().list_changes()] == ["0", "1", "2"]


def replacement():
    service = api()
    old, new = rrset("a.example.org.", "A", ["192.0.2.1"]), rrset("a.example.org.", "A", ["192.0.2.2"], 60)
    change(service, [old])
    change(service, [new], [old])
    assert everything(service)["a.example.org.", "A"]["rrdatas"] == ["192.0.2.2"]
    # Who is late gets nothing through, however much of it would have been good.
    late = lambda: change(service, [old, rrset("b.example.org.", "A", ["192.0.2.3"])], [old])
    refused(late, 412, "conditionNotMet", "entity.change.deletions[a.example.org.][A]")
    before = everything(service)
    assert ("b.example.org.", "A") not in before
    for wrong in (dict(new, ttl=61), dict(new, rrdatas=["192.0.2.2", "192.0.2.4"])):
        refused(lambda: change(service, [], [wrong]), 412, "conditionNotMet")
    refused(lambda: change(service, [], [rrset("c.example.org.", "A", ["192.0.2.1"])]), 404, "notFound")
    twice = lambda: change(service, [rrset("c.example.org.", "A", ["192.0.2.1"]), old])
    refused(twice, 409, "alreadyExists", "a.example.org. (A)")
    assert everything(service) == before
    # The same, by the other client's classes.
    own = zone()
    kinds = {
        exceptions.PreconditionFailed: lambda it: it.delete_record_set(
            own.resource_record_set("a.example.org.", "A", 1, ["192.0.2.2"])),
        exceptions.Conflict: lambda it: it.add_record_set(
            own.resource_record_set("a.example.org.", "A", 60, ["192.0.2.2"])),
        exceptions.NotFound: lambda it: it.delete_record_set(
            own.resource_record_set("c.example.org.", "A", 60, ["192.0.2.2"])),
        exceptions.BadRequest: lambda it: it.add_record_set(
            own.resource_record_set("c.example.org.", "A", 60, ["nonsense"])),
    }
    for kind, add in kinds.items():
        changes = own.changes()
        add(changes)
        raises(kind, changes.create)
    assert everything(service) == before


REFUSED = [
    (rrset("a.example.net.", "A", ["192.0.2.1"]), "invalid", ".name"),
    (rrset("notexample.org.", "A", ["192.0.2.1"]), "invalid", ".name"),
    (rrset("a.example.org", "A", ["192.0.2.1"]), "invalid", ".name"),
    (rrset("a..example.org.", "A", ["192.0.2.1"]), "invalid", ".name"),
    (rrset("a.*.example.org.", "A", ["192.0.2.1"]), "invalid", ".name"),
    (rrset("x" * 64 + ".example.org.", "A", ["192.0.2.1"]), "invalid", ".name"),
    (rrset("", "A", ["192.0.2.1"]), "required", ".name"),
    (rrset("a.example.org.", "", ["192.0.2.1"]), "required", ".type"),
    (rrset("a.example.org.", "group", ["192.0.2.1"]), "invalid", ".type"),
    (rrset("a.example.org.", "A", ["192.0.2.1"], -1), "invalid", ".ttl"),
    ({"name": "a.example.org.", "type": "A", "rrdatas": ["192.0.2.1"]}, "required", ".ttl"),
    (rrset("a.example.org.", "A", []), "invalid", "<empty>"),
    (rrset("a.example.org.", "A", ["192.0.2"]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "A", ["2001:db8::1"]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "A", ["192.0.2.1", "192.0.2.1"]), "invalid", ".rrdata[1]"),
    (rrset("a.example.org.", "AAAA", ["192.0.2.1"]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "CNAME", ["b.example.org"]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "CNAME", ["b.example.org.", "c.example.org."]), "invalidRecordCount", "CNAME"),
    (rrset("a.example.org.", "MX", ["mx.example.org."]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "MX", ["65536 mx.example.org."]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "SRV", ["1 2 sip.example.org."]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "TXT", ['"open']), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "TXT", ['"' + "x" * 256 + '"']), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "CAA", ["issue x"]), "invalid", ".rrdata[0]"),
    (rrset("a.example.org.", "ALIAS", ["b.example.org."]), "invalid", ".type"),
    (rrset("a.example.org.", "SOA", ["a. b. 1 2 3 4 5"]), "invalidZoneApex", "SOA"),
    (rrset("*.example.org.", "NS", ["ns.example.net."]), "wildcardNotAllowed", "NS"),
    (rrset(NAME, "CNAME", ["b.example.org."]), "recordTypeDisallowedAtZoneApex", "CNAME"),
    (rrset("there.example.org.", "CNAME", ["b.example.org."]), "cnameResourceRecordSetConflict", "CNAME"),
    (rrset("link.example.org.", "A", ["192.0.2.1"]), "cnameResourceRecordSetConflict", "CNAME"),
]


def refusals():
    service = api()
    change(service, [
        rrset("there.example.org.", "A", ["192.0.2.1"]), rrset("link.example.org.", "CNAME", ["a.example.net."]),
    ])
    before = everything(service)
    for body, reason, word in REFUSED:
        good = rrset("good.example.org.", "A", ["192.0.2.1"])
        refused(lambda: change(service, [good, body]), 400, reason, word)
        if body["name"]:
            refused(lambda: service.resourceRecordSets().create(**IN, body=body).execute(), 400, reason)
    refused(lambda: change(service), 400, "required", "entity.change")
    session = google.auth.transport.requests.AuthorizedSession(credentials())
    path = f"{URL}/dns/v1/projects/{PROJECT}/managedZones/{ZONE}"
    misspelt = {"additions": [dict(rrset("a.example.org.", "A", ["192.0.2.1"]), ttll=1)]}
    for how in ({"json": misspelt}, {"data": b"{"}, {"json": {"additions": [{"ttl": 1.5}]}}):
        answer = session.post(f"{path}/changes", **how)
        assert answer.status_code == 400 and answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    said = session.post(f"{path}/changes", json=misspelt).json()["error"]["message"]
    assert 'Unknown name "ttll" at \'change.additions[0]\'' in said, said
    assert session.get(f"{path}/rrsets?page=2").status_code == 400, "a parameter that is none"
    nowhere = lambda: service.changes().create(project=PROJECT, managedZone="nowhere", body={}).execute()
    refused(nowhere, 404, "notFound", "parameters.managedZone")
    assert everything(service) == before


def quotas():
    service, client = api(), cloud()
    quota = service.projects().get(project=PROJECT).execute()["quota"]
    told = client.quotas()
    for name in ("rrsetAdditionsPerChange", "resourceRecordsPerRrset", "totalRrdataSizePerChange"):
        assert int(told[name]) == quota[name]
    sets = lambda many, data="192.0.2.1", rtype="A": [
        rrset(f"q{at}.example.org.", rtype, [data]) for at in range(many)
    ]
    most = quota["rrsetAdditionsPerChange"]
    error = refused(lambda: change(service, sets(most + 1)), 403, "quotaExceeded", "additions per change")
    assert "status" not in error
    full = sets(most)
    change(service, full)
    refused(lambda: change(service, [], full + sets(1)), 403, "quotaExceeded", "deletions per change")
    change(service, [], full)
    long = '"' + "x" * 253 + '"'
    too_much = quota["totalRrdataSizePerChange"] // 255 + 1
    refused(lambda: change(service, sets(too_much, long, "TXT")), 403, "quotaExceeded", "rrdata size")
    change(service, sets(too_much - 1, long, "TXT"))
    many = [f"10.0.{at // 250}.{at % 250}" for at in range(quota["resourceRecordsPerRrset"] + 1)]
    refused(lambda: change(service, [rrset("many.example.org.", "A", many)]), 403, "quotaExceeded")
    change(service, [rrset("many.example.org.", "A", many[1:])])


def few_sets():
    """With room for five sets, of which the zone itself has two."""
    service = api()
    change(service, [rrset(f"n{at}.example.org.", "A", ["192.0.2.1"]) for at in range(3)])
    error = lambda: change(service, [rrset("n3.example.org.", "A", ["192.0.2.1"])])
    refused(error, 403, "quotaExceeded", "per managed zone")
    old = rrset("n0.example.org.", "A", ["192.0.2.1"])
    change(service, [dict(old, name="n3.example.org.")], [old])


# --- What goes wrong -----------------------------------------------------------------------------


def denied(how):
    client = cloud()
    own = zone(client)
    changes = own.changes()
    changes.add_record_set(own.resource_record_set("a.example.org.", "A", 60, ["192.0.2.1"]))
    checks = api("compute").healthChecks()
    if how == "credentials":
        raises(google.auth.exceptions.RefreshError, changes.create)
        return
    error = raises(exceptions.Forbidden, changes.create)
    assert error.errors[0]["reason"] == "forbidden"
    insert = lambda: checks.insert(project=PROJECT, body={"name": "x"}).execute()
    refused(insert, 403, "forbidden", "compute.healthChecks.create")
    if how == "readonly":
        assert len(list(own.list_resource_record_sets())) == 2
        assert "items" not in checks.list(project=PROJECT).execute()
    else:
        raises(exceptions.Forbidden, lambda: list(own.list_resource_record_sets()))
        refused(lambda: checks.list(project=PROJECT).execute(), 403, "forbidden", "compute.healthChecks.list")


def throttled():
    error = raises(exceptions.TooManyRequests, lambda: list(cloud().list_zones()))
    assert error.errors[0]["reason"] == "rateLimitExceeded", error.errors
    assert error.response.headers["Retry-After"] == "7"


def broken():
    """Two 5xx, which the clients do not hide, then a good answer."""
    client = cloud()
    raises(exceptions.InternalServerError, lambda: list(client.list_zones()))
    raises(exceptions.ServiceUnavailable, lambda: list(client.list_zones()))
    assert len(list(client.list_zones())) == 1


def torn():
    """A change torn before it is carried out, one torn after, and one that is answered late."""
    own = zone()
    sets = lambda: {one.name for one in own.list_resource_record_sets() if one.record_type == "A"}

    def add(name):
        changes = own.changes()
        changes.add_record_set(own.resource_record_set(name, "A", 60, ["192.0.2.1"]))
        changes.create()

    gone = raises(requests.exceptions.ConnectionError, lambda: add("before.example.org."))
    assert "closed connection without response" in str(gone), gone
    raises(requests.exceptions.ConnectionError, lambda: add("after.example.org."))
    assert sets() == {"after.example.org."}
    began = time.monotonic()
    raises(exceptions.Conflict, lambda: add("after.example.org."))
    assert time.monotonic() - began >= 0.5


def limited():
    """As many calls as the bucket holds and no more."""
    service = api()
    get = lambda: service.projects().get(project=PROJECT).execute()
    for _ in range(3):
        get()
    said = refused(get, 429, "rateLimitExceeded", "Queries per minute")
    assert said["status"] == "RESOURCE_EXHAUSTED"


def an_hour_apart():
    """The token that is kept is refused after an hour; the client fetches another by itself."""
    client = cloud()
    assert len(list(client.list_zones())) == 1
    print("ready", flush=True)
    input()
    assert len(list(client.list_zones())) == 1


if __name__ == "__main__":
    main({name: own for name, own in globals().items() if callable(own) and not name.startswith("_")})
