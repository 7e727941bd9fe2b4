"""The vendor's own clients at work, one scenario by name: azure_clients.py SCENARIO."""

import sys

import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential
from azure.mgmt.dns.v2018_05_01 import models as dns
from azure_double import *

MANAGEMENT = "https://management.azure.com/.default"


def tokens():
    """Secret, workload identity and managed identity each bring a token that the API takes."""
    import os

    workload = WorkloadIdentityCredential(
        tenant_id=TENANT,
        client_id=CLIENT,
        token_file_path=os.environ["AZURE_FEDERATED_TOKEN_FILE"],
        authority=URL,
        disable_instance_discovery=True,
        connection_verify=CA,
    )
    for own in (credential(), workload, ManagedIdentityCredential()):
        client = dns_client(credential=own)
        assert [zone.name for zone in client.zones.list_by_resource_group(GROUP)] == [ZONE]

    def refused(own, *says):
        try:
            own.get_token(MANAGEMENT)
        except ClientAuthenticationError as error:
            assert all(word in error.message for word in says), error.message
            return
        raise AssertionError(f"a token in spite of {says}")

    refused(credential(secret="another"), "AADSTS7000215")
    refused(credential(client="44444444-4444-4444-4444-444444444444"), "AADSTS700016")
    with open(os.environ["AZURE_FEDERATED_TOKEN_FILE"], "w") as file:
        file.write("eyJhbGciOiJub25lIn0.e30.")
    refused(
        WorkloadIdentityCredential(
            tenant_id=TENANT,
            client_id=CLIENT,
            token_file_path=os.environ["AZURE_FEDERATED_TOKEN_FILE"],
            authority=URL,
            disable_instance_discovery=True,
            connection_verify=CA,
        ),
        "AADSTS700213",
    )
    path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
    assert requests.get(HTTP + path).status_code == 400
    assert requests.get(HTTP + path, headers={"Metadata": "true"}).json()["token_type"] == "Bearer"
    bare = requests.get(f"{HTTP}{SCOPE}/dnszones?api-version=2018-05-01")
    assert bare.status_code == 401 and bare.headers["www-authenticate"].startswith("Bearer ")


SETS = {
    "A": {"a_records": [dns.ARecord(ipv4_address="1.2.3.4"), dns.ARecord(ipv4_address="1.2.3.5")]},
    "AAAA": {"aaaa_records": [dns.AaaaRecord(ipv6_address="2a00:1:2::3")]},
    "CAA": {"caa_records": [dns.CaaRecord(flags=0, tag="issue", value="ca.example.net")]},
    "CNAME": {"cname_record": dns.CnameRecord(cname="www.example.net.")},
    "MX": {"mx_records": [dns.MxRecord(preference=10, exchange="mail.example.net.")]},
    "NS": {"ns_records": [dns.NsRecord(nsdname="ns1.example.net.")]},
    "PTR": {"ptr_records": [dns.PtrRecord(ptrdname="host.example.net.")]},
    "SRV": {"srv_records": [dns.SrvRecord(priority=1, weight=2, port=3, target="srv.example.net.")]},
    "TXT": {"txt_records": [dns.TxtRecord(value=["a \"quoted\" string", "and; more"])]},
}


def statuses(client_kwargs, call):
    """What the call returns, and with which status."""
    seen = []
    result = call(raw_response_hook=lambda own: seen.append(own.http_response.status_code))
    return seen[-1], result


def record_sets():
    """Every type is written, read, listed, changed and deleted; pages bring each set once."""
    client = dns_client()
    sets = client.record_sets
    zone = client.zones.get(GROUP, ZONE)
    assert zone.number_of_record_sets == 2 and len(zone.name_servers) == 4, zone
    for rtype, records in SETS.items():
        name = f"x-{rtype.lower()}"
        wanted = dns.RecordSet(ttl=60, metadata={"owner": "meridian"}, **records)
        put = lambda **more: sets.create_or_update(GROUP, ZONE, name, rtype, wanted, **more)
        status, made = statuses(client, put)
        assert status == 201, status
        status, again = statuses(client, put)
        assert status == 200 and again.etag != made.etag
        got = sets.get(GROUP, ZONE, name, rtype)
        assert got.etag == again.etag and got.fqdn == f"{name}.{ZONE}."
        assert got.type.lower() == f"microsoft.network/dnszones/{rtype.lower()}"
        assert got.ttl == 60 and got.metadata == {"owner": "meridian"}
        sent, shown = wanted.serialize()["properties"], got.serialize()["properties"]
        assert sent == {field: shown[field] for field in sent}, (sent, shown)
        assert [own.name for own in sets.list_by_type(GROUP, ZONE, rtype)].count(name) == 1
    names = [(own.name, own.type) for own in sets.list_by_dns_zone(GROUP, ZONE)]
    assert len(names) == len(SETS) + 2, names
    for top in (1, 3, 4, 11, 100):
        paged = sets.list_by_dns_zone(GROUP, ZONE, top=top).by_page()
        sizes, found = [], []
        for page in paged:
            own = list(page)
            sizes.append(len(own))
            found += [(one.name, one.type) for one in own]
        assert found == names and max(sizes) <= top, (top, sizes)
    assert len(list(sets.list_all_by_dns_zone(GROUP, ZONE, top=2))) == len(names)
    assert [own.name for own in sets.list_by_dns_zone(GROUP, ZONE, recordsetnamesuffix="x-mx")] == ["x-mx"]
    changed = sets.update(GROUP, ZONE, "x-a", "A", dns.RecordSet(metadata={"owner": "other"}))
    assert len(changed.a_records) == 2 and changed.metadata == {"owner": "other"}, changed
    for rtype in SETS:
        delete = lambda **more: sets.delete(GROUP, ZONE, f"x-{rtype.lower()}", rtype, **more)
        assert statuses(client, delete)[0] == 200
        assert statuses(client, delete)[0] == 204
    with Refused(404, "NotFound", ResourceNotFoundError):
        sets.get(GROUP, ZONE, "x-a", "A")
    soa = sets.get(GROUP, ZONE, "@", "SOA")
    soa.soa_record.minimum_ttl = 60
    assert sets.create_or_update(GROUP, ZONE, "@", "SOA", soa).soa_record.minimum_ttl == 60
    ns = sets.get(GROUP, ZONE, "@", "NS")
    ns.ns_records.append(dns.NsRecord(nsdname="ns1.example.net."))
    assert len(sets.create_or_update(GROUP, ZONE, "@", "NS", ns).ns_records) == 5
    made = client.zones.create_or_update(GROUP, "new.example", dns.Zone(location="global", tags={"a": "b"}))
    assert made.tags == {"a": "b"} and len(made.name_servers) == 4
    assert client.zones.update(GROUP, "new.example", dns.ZoneUpdate(tags={})).tags == {}
    assert len(list(client.zones.list())) == 2 and len(list(client.zones.list(top=1))) == 2
    client.zones.begin_delete(GROUP, "new.example").wait()
    with Refused(404, "ResourceNotFound", ResourceNotFoundError):
        client.zones.get(GROUP, "new.example")
    with Refused(404, "ParentResourceNotFound", ResourceNotFoundError, "perform 'read'"):
        list(sets.list_by_dns_zone(GROUP, "new.example"))


def etags():
    """Conditions are kept: only if new, only if there, only if unchanged."""
    sets = dns_client().record_sets
    one = dns.RecordSet(ttl=60, a_records=[dns.ARecord(ipv4_address="1.2.3.4")])
    put = lambda **more: sets.create_or_update(GROUP, ZONE, "www", "A", one, **more)
    failed = lambda: Refused(412, "PreconditionFailed")
    with failed():
        put(if_match="*")
    with failed():
        put(if_match="00000000-0000-0000-0000-000000000000")
    first = put(if_none_match="*")
    with failed():
        put(if_none_match="*")
    second = put(if_match=first.etag)
    assert second.etag != first.etag
    with failed():
        put(if_match=first.etag)
    put(if_match="*")
    with failed():
        sets.delete(GROUP, ZONE, "www", "A", if_match=second.etag)
    with failed():
        sets.update(GROUP, ZONE, "www", "A", dns.RecordSet(ttl=1), if_match=second.etag)
    now = sets.get(GROUP, ZONE, "www", "A").etag
    assert sets.update(GROUP, ZONE, "www", "A", dns.RecordSet(ttl=1), if_match=now).ttl == 1
    sets.delete(GROUP, ZONE, "www", "A", if_match=sets.get(GROUP, ZONE, "www", "A").etag)
    with failed():
        sets.delete(GROUP, ZONE, "www", "A", if_match="*")


def refusals():
    """What is no record set is refused, and nothing of it is written."""
    client = dns_client()
    sets = client.record_sets
    before = dumped([own.serialize(keep_readonly=True) for own in sets.list_by_dns_zone(GROUP, ZONE)])
    a = [dns.ARecord(ipv4_address="1.2.3.4")]

    def bad(name, rtype, status=400, code="BadRequest", says="", **properties):
        kind = ResourceExistsError if status == 409 else HttpResponseError
        with Refused(status, code, kind, says):
            sets.create_or_update(GROUP, ZONE, name, rtype, dns.RecordSet(**properties))

    bad("www", "A", a_records=a)
    bad("www", "A", ttl=0, a_records=a)
    bad("www", "A", ttl=2**31, a_records=a)
    bad("www", "A", ttl=60, a_records=[dns.ARecord(ipv4_address="1.2.3")])
    bad("www", "A", ttl=60, a_records=[dns.ARecord(ipv4_address="2a00::1")])
    bad("www", "AAAA", ttl=60, aaaa_records=[dns.AaaaRecord(ipv6_address="1.2.3.4")])
    bad("www", "A", ttl=60, a_records=a * 2)
    bad("www", "A", ttl=60, a_records=[dns.ARecord(ipv4_address=f"1.2.3.{n}") for n in range(21)],
        code="RecordSetRecordsLimitExceeded")
    bad("www", "A", ttl=60, aaaa_records=[dns.AaaaRecord(ipv6_address="2a00::1")])
    bad("www", "CNAME", ttl=60, cname_record=dns.CnameRecord(cname='"quoted"'), says="is invalid")
    bad("www", "TXT", ttl=60, txt_records=[dns.TxtRecord(value=["x" * 256])])
    bad("www", "TXT", ttl=60, txt_records=[dns.TxtRecord(value=["x" * 255] * 17)])
    bad("www", "TXT", ttl=60, txt_records=[dns.TxtRecord(value=[f"{n}"]) for n in range(401)],
        code="RecordSetRecordsLimitExceeded")
    bad("www", "MX", ttl=60, mx_records=[dns.MxRecord(preference=65536, exchange="a.b")])
    bad("@", "CNAME", ttl=60, cname_record=dns.CnameRecord(cname="a.b"))
    bad("a..b", "A", ttl=60, a_records=a)
    bad("x" * 64, "A", ttl=60, a_records=a)
    bad("a.*", "A", ttl=60, a_records=a)
    bad("www", "SOA", ttl=60)
    bad("@", "NS", ttl=60, ns_records=[dns.NsRecord(nsdname="ns1.example.net.")])
    bad("@", "A", ttl=60, a_records=a, target_resource=dns.SubResource(id=profile_id("x")))
    bad("@", "A", ttl=60, target_resource=dns.SubResource(id=profile_id("missing")))
    bad("www", "TXT", ttl=60, target_resource=dns.SubResource(id=profile_id("missing")))
    for rtype in ("SOA", "NS"):
        with Refused(400, "BadRequest"):
            sets.delete(GROUP, ZONE, "@", rtype)
    with Refused(400, "BadRequest"):
        client.zones.create_or_update(GROUP, "single", dns.Zone(location="global"))
    with Refused(404, "ParentResourceNotFound", ResourceNotFoundError, "perform 'write'"):
        sets.create_or_update(GROUP, "missing.example", "www", "A", dns.RecordSet(ttl=60, a_records=a))
    with Refused(404, "ResourceGroupNotFound", ResourceNotFoundError):
        client.zones.get("another", ZONE)
    with Refused(404, "SubscriptionNotFound", ResourceNotFoundError):
        dns_client(subscription_id=TENANT).zones.get(GROUP, ZONE)
    with Refused(400, "InvalidResourceType"):
        client.zones.get(GROUP, ZONE, api_version="2015-05-04-preview")
    after = dumped([own.serialize(keep_readonly=True) for own in sets.list_by_dns_zone(GROUP, ZONE)])
    assert after == before

    sets.create_or_update(GROUP, ZONE, "a", "A", dns.RecordSet(ttl=60, a_records=a))
    cname = dns.CnameRecord(cname="x.example.net")
    bad("A", "CNAME", 409, "Conflict", "another record", ttl=60, cname_record=cname)
    sets.create_or_update(GROUP, ZONE, "c", "CNAME", dns.RecordSet(ttl=60, cname_record=cname))
    bad("C", "TXT", 409, "Conflict", "CNAME", ttl=60, txt_records=[dns.TxtRecord(value=["x"])])


def denied():
    """The caller's rights: no role at all, or a reader's."""
    sets = dns_client().record_sets
    one = dns.RecordSet(ttl=60, a_records=[dns.ARecord(ipv4_address="1.2.3.4")])
    if sys.argv[2] == "credentials":
        try:
            credential().get_token(MANAGEMENT)
        except ClientAuthenticationError as error:
            assert "AADSTS7000215" in error.message, error
            return
        raise AssertionError("a token with wrong credentials")
    with Refused(403, "AuthorizationFailed", says="does not have authorization"):
        sets.create_or_update(GROUP, ZONE, "www", "A", one)
    with Refused(403, "AuthorizationFailed"):
        sets.delete(GROUP, ZONE, "www", "A")
    if sys.argv[2] == "readonly":
        assert len(list(sets.list_by_dns_zone(GROUP, ZONE))) == 2
        return
    with Refused(403, "AuthorizationFailed"):
        list(sets.list_by_dns_zone(GROUP, ZONE))


def throttled():
    """Refused as too fast, the client waits as it is told and comes again; else it gives up."""
    if sys.argv[2] == "patient":
        assert len(list(dns_client().record_sets.list_by_dns_zone(GROUP, ZONE))) == 2
        return
    client = dns_client(retry_total=0)
    with Refused(429, "RetryableErrorDueToAnotherOperation"):
        list(client.record_sets.list_by_dns_zone(GROUP, ZONE))
    with Refused(503, "ServiceUnavailable"):
        list(client.record_sets.list_by_dns_zone(GROUP, ZONE))
    one = dns.RecordSet(ttl=60, a_records=[dns.ARecord(ipv4_address="1.2.3.4")])
    for name, there in (("before", False), ("after", True)):
        try:
            client.record_sets.create_or_update(GROUP, ZONE, name, "A", one)
            raise AssertionError("an answer over a torn connection")
        except (ServiceRequestError, ServiceResponseError):
            pass
        names = [own.name for own in client.record_sets.list_by_type(GROUP, ZONE, "A")]
        assert (name in names) == there, names


def full():
    """A zone of 10,000 record sets is listed in pages, changed, and takes no more."""
    sets = dns_client().record_sets
    names = [(own.name, own.type) for own in sets.list_by_dns_zone(GROUP, ZONE, top=500)]
    assert len(names) == len(set(names)) == 10000, len(names)
    one = dns.RecordSet(ttl=60, a_records=[dns.ARecord(ipv4_address="1.2.3.4")])
    with Refused(400, "RecordSetsLimitExceeded"):
        sets.create_or_update(GROUP, ZONE, "one-too-many", "A", one)
    sets.create_or_update(GROUP, ZONE, "n1", "A", one)
    sets.delete(GROUP, ZONE, "n1", "A")
    sets.create_or_update(GROUP, ZONE, "another", "A", one)


def limits():
    """More than 200 record sets at once, and then 200 a minute, are too many for a zone."""
    sets = dns_client(retry_total=0).record_sets
    one = dns.RecordSet(ttl=60, a_records=[dns.ARecord(ipv4_address="1.2.3.4")])
    for made in range(2000):
        try:
            sets.create_or_update(GROUP, ZONE, f"n{made}", "A", one)
        except HttpResponseError as error:
            assert (error.status_code, error.error.code) == (429, "TooManyRequests"), error
            assert int(error.response.headers["retry-after"]) >= 1
            assert made >= 200, made
            return
    raise AssertionError("never too many")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
