"""The vendor's own client of Traffic Manager at work, one scenario by name."""

import sys

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.mgmt.dns.v2018_05_01 import models as dns
from azure.mgmt.trafficmanager import models as tm
from azure_double import *

KIND = "Microsoft.Network/trafficManagerProfiles/"


def external(name, target, **more):
    return tm.Endpoint(name=name, type=KIND + "externalEndpoints", target=target, **more)


def nested(name, child, **more):
    kind = KIND + "nestedEndpoints"
    return tm.Endpoint(name=name, type=kind, target_resource_id=profile_id(child), **more)


def monitor(**more):
    given = {"protocol": "HTTPS", "port": 443, "path": "/healthz", **more}
    return tm.MonitorConfig(**given)


def profile(name, method, endpoints=(), **more):
    given = {
        "location": "global",
        "traffic_routing_method": method,
        "dns_config": tm.DnsConfig(relative_name=name, ttl=20),
        "monitor_config": monitor(),
        "endpoints": list(endpoints),
        **more,
    }
    return tm.Profile(**given)


def put(client, name, *given, **more):
    return client.profiles.create_or_update(GROUP, name, profile(name, *given, **more))


def profiles():
    """Every routing method is written and read; endpoints are changed one by one."""
    client = tm_client()
    made = put(
        client,
        "priority",
        "Priority",
        [external("a", "1.2.3.4", priority=1), external("b", "1.2.3.5", priority=2)],
        monitor_config=monitor(
            interval_in_seconds=10,
            timeout_in_seconds=9,
            tolerated_number_of_failures=0,
            custom_headers=[tm.MonitorConfigCustomHeadersItem(name="Host", value="www.example.org")],
            expected_status_code_ranges=[tm.MonitorConfigExpectedStatusCodeRangesItem(min=200, max=299)],
        ),
        tags={"owner": "meridian"},
    )
    assert made.id == profile_id("priority") and made.type == "Microsoft.Network/trafficManagerProfiles"
    assert made.dns_config.fqdn == "priority.trafficmanager.net" and made.dns_config.ttl == 20
    assert made.monitor_config.profile_monitor_status == "CheckingEndpoints"
    assert [(own.name, own.priority, own.weight) for own in made.endpoints] == [("a", 1, 1), ("b", 2, 1)]
    assert made.tags == {"owner": "meridian"}
    put(client, "weighted", "Weighted", [external("a", "1.2.3.4", weight=1000), external("b", "1.2.3.5", always_serve="Enabled")])
    put(client, "performance", "Performance", [external("a", "1.2.3.4", endpoint_location="West Europe")])
    put(client, "multi", "MultiValue", [external("a", "1.2.3.4"), external("b", "2a00:1::2")], max_return=2)
    put(
        client,
        "subnet",
        "Subnet",
        [
            external("a", "1.2.3.4", subnets=[tm.EndpointPropertiesSubnetsItem(first="91.0.0.0", scope=8)]),
            external("b", "1.2.3.5", subnets=[tm.EndpointPropertiesSubnetsItem(first="12.0.0.0", last="12.0.0.9")]),
            external("c", "1.2.3.6"),
        ],
    )
    put(client, "empty", "Priority")
    root = put(
        client,
        "root",
        "Geographic",
        [
            nested("europe", "priority", geo_mapping=["GEO-EU", "GEO-ME"], min_child_endpoints=1),
            nested("world", "weighted", geo_mapping=["WORLD", "US-CA"]),
        ],
    )
    assert root.endpoints[0].target == "priority.trafficmanager.net"
    assert root.endpoints[0].target_resource_id == profile_id("priority")
    assert len(list(client.profiles.list_by_resource_group(GROUP))) == 7
    assert len(list(client.profiles.list_by_subscription())) == 7
    got = client.profiles.get(GROUP, "PRIORITY")
    assert got.serialize(keep_readonly=True)["properties"]["endpoints"][0]["id"].endswith("/externalEndpoints/a")

    ends = client.endpoints
    changed = ends.update(GROUP, "priority", "ExternalEndpoints", "a", tm.Endpoint(endpoint_status="Disabled"))
    assert changed.endpoint_status == "Disabled" and changed.endpoint_monitor_status == "Disabled"
    assert changed.target == "1.2.3.4" and changed.priority == 1
    changed = ends.update(GROUP, "priority", "ExternalEndpoints", "b", tm.Endpoint(always_serve="Enabled"))
    assert changed.endpoint_monitor_status == "Unmonitored"
    ends.create_or_update(GROUP, "priority", "externalEndpoints", "c", tm.Endpoint(target="1.2.3.6"))
    assert ends.get(GROUP, "priority", "externalEndpoints", "c").priority == 3
    ends.delete(GROUP, "priority", "externalEndpoints", "c")
    with Refused(404, "NotFound", ResourceNotFoundError):
        ends.get(GROUP, "priority", "externalEndpoints", "c")
    patched = client.profiles.update(GROUP, "weighted", tm.Profile(profile_status="Disabled"))
    assert patched.profile_status == "Disabled" and len(patched.endpoints) == 2
    assert patched.monitor_config.profile_monitor_status == "Disabled"

    free = client.profiles.check_traffic_manager_relative_dns_name_availability
    ask = lambda name: free({"name": name, "type": "Microsoft.Network/trafficManagerProfiles"})
    assert ask("nobody").name_available
    assert not ask("Root").name_available and ask("taken").reason == "AlreadyExists"
    world = client.geographic_hierarchies.get_default().geographic_hierarchy
    assert world.code == "WORLD" and len(world.regions) == 7
    with Refused(404, "ParentResourceNotFound", ResourceNotFoundError):
        ends.get(GROUP, "missing", "externalEndpoints", "a")
    client.profiles.delete(GROUP, "root")
    client.profiles.delete(GROUP, "root")
    with Refused(404, "ResourceNotFound", ResourceNotFoundError):
        client.profiles.get(GROUP, "root")


def refusals():
    """What no profile may be is refused, and nothing of it is written."""
    client = tm_client()
    put(client, "child", "Priority", [external("a", "1.2.3.4")])
    put(client, "many", "MultiValue", [external("a", "1.2.3.4")], max_return=1)
    before = dumped([own.serialize(keep_readonly=True) for own in client.profiles.list_by_resource_group(GROUP)])

    def bad(says, *given, **more):
        with Refused(400, "BadRequest", says=says):
            put(client, more.pop("name", "bad"), *given, **more)

    address = external("a", "1.2.3.4")
    bad("weight", "Weighted", [external("a", "1.2.3.4", weight=0)])
    bad("weight", "Weighted", [external("a", "1.2.3.4", weight=1001)])
    bad("priority", "Priority", [external("a", "1.2.3.4", priority=1), external("b", "1.2.3.5", priority=1)])
    bad("priority", "Priority", [external("a", "1.2.3.4", priority=1001)])
    bad("all endpoints", "Priority", [external("a", "1.2.3.4", priority=1), external("b", "1.2.3.5")])
    bad("target", "Priority", [external("a", "1.2.3.4"), external("b", "1.2.3.4")])
    bad("name", "Priority", [external("a", "1.2.3.4"), external("A", "1.2.3.5")])
    for reserved in (
        "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.1", "169.254.0.1", "192.0.2.1",
        "198.51.100.1", "203.0.113.1", "198.18.0.1", "224.0.0.1", "0.0.0.0", "240.0.0.1", "::1",
        "fe80::1", "fd00::1", "2001:db8::1",
    ):
        bad("reserved", "Priority", [external("a", reserved)])
    bad("valid name", "Priority", [external("a", "1.2.3")])
    bad("all names", "Priority", [external("a", "1.2.3.4"), external("b", "www.example.net")])
    bad("all names", "Priority", [external("a", "1.2.3.4"), external("b", "2a00::1")])
    bad("endpointLocation", "Performance", [address])
    bad("not a location", "Performance", [external("a", "1.2.3.4", endpoint_location="Mars")])
    bad("geoMapping", "Geographic", [address])
    bad("not known", "Geographic", [external("a", "1.2.3.4", geo_mapping=["GEO-XX"])])
    bad("more than one endpoint", "Geographic", [
        external("a", "1.2.3.4", geo_mapping=["WORLD"]), external("b", "1.2.3.5", geo_mapping=["WORLD"])])
    bad("maxReturn", "MultiValue", [address])
    bad("maxReturn", "MultiValue", [address], max_return=9)
    bad("maxReturn", "Priority", [address], max_return=2)
    bad("addresses only", "MultiValue", [external("a", "www.example.net")], max_return=2)
    bad("addresses only", "MultiValue", [nested("a", "child")], max_return=2)
    first = tm.EndpointPropertiesSubnetsItem
    bad("overlap", "Subnet", [
        external("a", "1.2.3.4", subnets=[first(first="91.0.0.0", scope=8)]),
        external("b", "1.2.3.5", subnets=[first(first="91.1.0.0", last="91.1.0.9")])])
    bad("invalid", "Subnet", [external("a", "1.2.3.4", subnets=[first(first="91.0.0.1", scope=8)])])
    bad("without subnets", "Subnet", [external("a", "1.2.3.4"), external("b", "1.2.3.5")])
    bad("was not found", "Priority", [nested("a", "missing")])
    bad("nested within itself", "Priority", [nested("a", "child")], name="child")
    bad("alwaysServe", "Priority", [nested("a", "child", always_serve="Enabled")])
    bad("nested endpoints only", "Priority", [external("a", "1.2.3.4", min_child_endpoints=1)])
    bad("is not one of", "Nearest")
    bad("intervalInSeconds", "Priority", monitor_config=monitor(interval_in_seconds=20))
    bad("timeoutInSeconds", "Priority", monitor_config=monitor(interval_in_seconds=10, timeout_in_seconds=10))
    bad("timeoutInSeconds", "Priority", monitor_config=monitor(timeout_in_seconds=4))
    bad("toleratedNumberOfFailures", "Priority", monitor_config=monitor(tolerated_number_of_failures=10))
    bad("port", "Priority", monitor_config=monitor(port=0))
    bad("path", "Priority", monitor_config=monitor(path="healthz"))
    bad("TCP", "Priority", monitor_config=monitor(protocol="TCP"))
    header = tm.MonitorConfigCustomHeadersItem(name="Host", value="x")
    bad("8 custom headers", "Priority", monitor_config=monitor(custom_headers=[header] * 9))
    code = tm.MonitorConfigExpectedStatusCodeRangesItem(min=200, max=299)
    bad("8 ranges", "Priority", monitor_config=monitor(expected_status_code_ranges=[code] * 9))
    bad("relative DNS name", "Priority", dns_config=tm.DnsConfig(relative_name="a_b", ttl=20))
    bad("cannot be changed", "Priority", name="child", dns_config=tm.DnsConfig(relative_name="new", ttl=20))
    with Refused(409, "Conflict", ResourceExistsError, "already exists"):
        put(client, "bad", "Priority", dns_config=tm.DnsConfig(relative_name="Child", ttl=20))
    with Refused(409, "Conflict", ResourceExistsError, "already exists"):
        put(client, "taken", "Priority")
    with Refused(400, "LocationRequired"):
        put(client, "bad", "Priority", location="westeurope")
    with Refused(400, "BadRequest", says="reserved"):
        client.endpoints.update(GROUP, "child", "ExternalEndpoints", "a", tm.Endpoint(target="10.0.0.1"))
    after = dumped([own.serialize(keep_readonly=True) for own in client.profiles.list_by_resource_group(GROUP)])
    assert after == before

    put(client, "level1", "Priority", [nested("a", "child")])
    for level in range(2, 10):
        put(client, f"level{level}", "Priority", [nested("a", f"level{level - 1}")])
    bad("10 levels", "Priority", [nested("a", "level9")], name="level10")
    bad("10 levels", "Priority", [external("a", "1.2.3.4"), nested("b", "many")], name="child")
    bad("within itself", "Priority", [nested("b", "level9")], name="child")
    with Refused(409, "ResourceQuotaExceeded", ResourceExistsError):
        put(client, "one-too-many", "Priority")


def aliases():
    """An alias of addresses is refused while the profile is nested, and taken while it is empty."""
    client, sets = tm_client(), dns_client().record_sets

    def alias(rtype, name, of, zone_name="www"):
        wanted = dns.RecordSet(ttl=60, target_resource=dns.SubResource(id=profile_id(of)))
        return sets.create_or_update(GROUP, ZONE, zone_name, rtype, wanted)

    put(client, "plain", "Priority", [external("a", "1.2.3.4")])
    put(client, "six", "Priority", [external("a", "2a00:1::2")])
    put(client, "named", "Priority", [external("a", "www.example.net")])
    put(client, "root", "Priority", [nested("a", "plain")])
    made = alias("A", "A", "plain")
    assert made.target_resource.id == profile_id("plain") and made.a_records is None
    alias("AAAA", "AAAA", "six")
    for rtype, of in (("A", "six"), ("AAAA", "plain"), ("A", "named"), ("A", "root")):
        with Refused(400, "BadRequest", says="traffic manager profile with endpoints containing valid IP"):
            alias(rtype, rtype, of, "refused")
    alias("CNAME", "CNAME", "root", "cname")
    # The way around: the alias is made while the profile is empty.
    put(client, "late", "Priority")
    alias("A", "A", "late", "late")
    put(client, "late", "Priority", [nested("a", "plain")])
    assert sets.get(GROUP, ZONE, "late", "A").target_resource.id == profile_id("late")
    target = dns.SubResource(id=f"{SCOPE}/dnszones/{ZONE}/A/late")
    with Refused(400, "BadRequest", says="alias"):
        sets.create_or_update(GROUP, ZONE, "twice", "A", dns.RecordSet(ttl=60, target_resource=target))
    # What stood for a profile that is gone is an empty record set.
    gone = sets.get(GROUP, ZONE, "late", "A")
    client.profiles.delete(GROUP, "late")
    left = sets.get(GROUP, ZONE, "late", "A")
    assert left.etag != gone.etag and left.target_resource.id is None and left.a_records is None
    put(client, "late", "Priority")
    alias("A", "A", "late", "late")
    put(client, "late", "Priority", [nested("a", "plain")])
    for number in range(48):
        alias("A", "A", "plain", f"n{number}")
    alias("A", "A", "plain", "last")
    with Refused(400, "AliasRecordSetsLimitExceeded"):
        alias("A", "A", "plain", "one-too-many")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
