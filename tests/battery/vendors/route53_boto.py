"""What boto3 sees of a Route 53: `route53_boto.py URL STORY [ARGUMENT...]`."""

import sys

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.exceptions
import dns.edns
import dns.message
import dns.query
import dns.rdatatype

import route53_model

URL = sys.argv[1]


def client(attempts=1, mode="standard", **credentials):
    config = botocore.config.Config(
        retries={"total_max_attempts": attempts, "mode": mode}, read_timeout=10
    )
    return boto3.client(
        "route53",
        endpoint_url=URL,
        config=config,
        **credentials,
    )


api = client()
seen = route53_model.watch(api)


def refused(code, call, *words, **params):
    """The call fails with that class of error, and says those words."""
    try:
        call(**params)
    except botocore.exceptions.ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, f"{said} is not {code}"
        known = getattr(api.exceptions, code, None) if code in CLASSES else None
        assert known is None or isinstance(error, known), type(error)
        for word in words:
            assert word in said["Message"], f"{word!r} is not in {said['Message']!r}"
        return error
    raise AssertionError(f"{params} was taken; {code} was expected")


CLASSES = {shape.name for shape in api.meta.service_model.error_shapes}


def plain(name, rtype="A", ttl=60, data=("1.2.3.4",), **more):
    records = [{"Value": value} for value in data]
    return {"Name": name, "Type": rtype, "TTL": ttl, "ResourceRecords": records, **more}


def alias(name, target, zone, rtype="A", evaluate=True, **more):
    to = {"HostedZoneId": zone, "DNSName": target, "EvaluateTargetHealth": evaluate}
    return {"Name": name, "Type": rtype, "AliasTarget": to, **more}


def change(zone, *changes, by=None):
    batch = {"Changes": [{"Action": a, "ResourceRecordSet": s} for a, s in changes]}
    return (by or api).change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def not_changed(zone, code, *changes, says=()):
    before = sets(zone)
    words = [says] if isinstance(says, str) else says
    refused(code, lambda: change(zone, *changes), *words)
    assert sets(zone) == before, "a refused batch left something behind"


def sets(zone):
    pages = api.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    return [own for page in pages for own in page["ResourceRecordSets"]]


def zone(name="example.org", reference=None):
    made = api.create_hosted_zone(Name=name, CallerReference=reference or name)
    return made["HostedZone"]["Id"].removeprefix("/hostedzone/")


def check(reference, **config):
    config = {"Type": "HTTP", "IPAddress": "1.2.3.4", **config}
    made = api.create_health_check(CallerReference=reference, HealthCheckConfig=config)
    return made["HealthCheck"]["Id"]


# === Stories ===


def zones():
    made = api.create_hosted_zone(
        Name="Example.ORG", CallerReference="one", HostedZoneConfig={"Comment": "a <comment> & more"}
    )
    assert made["HostedZone"]["Name"] == "example.org."
    assert len(made["DelegationSet"]["NameServers"]) == 4
    assert made["HostedZone"]["ResourceRecordSetCount"] == 2
    first = made["HostedZone"]["Id"]
    got = api.get_hosted_zone(Id=first)
    assert got["HostedZone"] == made["HostedZone"]
    assert got["HostedZone"]["Config"]["Comment"] == "a <comment> & more"
    for name in ("b.example", "a.example", "example.org", "xexample.org"):
        api.create_hosted_zone(Name=name, CallerReference=name)
    pages = api.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 2})
    ids = [own["Id"] for page in pages for own in page["HostedZones"]]
    assert len(ids) == len(set(ids)) == 5 and first in ids
    named = api.list_hosted_zones_by_name(DNSName="example.org", MaxItems="2")
    assert [own["Name"] for own in named["HostedZones"]] == ["example.org."] * 2
    assert named["IsTruncated"] and named["NextDNSName"] == "xexample.org."
    following = api.list_hosted_zones_by_name(
        DNSName=named["NextDNSName"], HostedZoneId=named["NextHostedZoneId"]
    )
    assert [own["Name"] for own in following["HostedZones"]] == ["xexample.org."]
    everything = api.list_hosted_zones_by_name()["HostedZones"]
    names = [own["Name"] for own in everything]
    assert names[:2] == ["a.example.", "b.example."]
    assert api.get_hosted_zone_count()["HostedZoneCount"] == 5
    limit = api.get_hosted_zone_limit(Type="MAX_RRSETS_BY_ZONE", HostedZoneId=first)
    assert (limit["Limit"]["Value"], limit["Count"]) == (10_000, 2)
    limit = api.get_account_limit(Type="MAX_HEALTH_CHECKS_BY_OWNER")
    assert (limit["Limit"]["Value"], limit["Count"]) == (200, 0)
    vpcs = {"Type": "MAX_VPCS_ASSOCIATED_BY_ZONE", "HostedZoneId": first}
    refused("HostedZoneNotPrivate", api.get_hosted_zone_limit, **vpcs)
    again = {"Name": "other.example", "CallerReference": "one"}
    refused("HostedZoneAlreadyExists", api.create_hosted_zone, **again)
    bad = {"Name": "a..b", "CallerReference": "two"}
    refused("InvalidDomainName", api.create_hosted_zone, **bad)
    change(first, ("CREATE", plain("www.example.org")))
    refused("HostedZoneNotEmpty", api.delete_hosted_zone, Id=first)
    change(first, ("DELETE", plain("www.example.org")))
    api.delete_hosted_zone(Id=first)
    refused("NoSuchHostedZone", api.get_hosted_zone, Id=first)
    refused("NoSuchHostedZone", api.list_resource_record_sets, HostedZoneId=first)
    refused("NoSuchHostedZone", lambda: change("ZNOWHERE", ("CREATE", plain("a.b"))))
    other = next(own for own in ids if own != first).removeprefix("/hostedzone/")
    tags = {"ResourceType": "hostedzone", "ResourceId": other}
    api.change_tags_for_resource(AddTags=[{"Key": "owner", "Value": "tester"}], **tags)
    told = api.list_tags_for_resource(**tags)["ResourceTagSet"]["Tags"]
    assert told == [{"Key": "owner", "Value": "tester"}]


VALUES = {
    "A": ["1.2.3.4", "5.6.7.8"],
    "AAAA": ["2a00::1"],
    "CAA": ['0 issue "ca.example.net"'],
    "CNAME": ["target.example.net"],
    "DS": ["123 4 5 0123456789abcdef"],
    "HTTPS": ['1 . alpn="h2,h3" ipv4hint=1.2.3.4'],
    "MX": ["10 mail.example.net", "20 mail2.example.net."],
    "NAPTR": ['10 20 "u" "sip+E2U" "!^.*$!sip:info@example.org!" .'],
    "NS": ["ns1.example.net", "ns2.example.net"],
    "PTR": ["host.example.net"],
    "SPF": ['"v=spf1 -all"'],
    "SRV": ["1 2 443 host.example.net"],
    "SSHFP": ["1 1 0123456789abcdef0123456789abcdef01234567"],
    "SVCB": ["1 svc.example.net port=8443"],
    "TLSA": ["3 1 0 0123456789abcdef"],
    "TXT": ['"one" "two \\"three\\" \\040"', '"x<y>&z"'],
}


def policies(own, check_id, collection):
    ids = {"HealthCheckId": check_id}
    weights = [plain("w.example.org", SetIdentifier=f"{n}", Weight=n, **ids) for n in (0, 1, 255)]
    regions = [
        plain("l.example.org", SetIdentifier=region, Region=region)
        for region in ("eu-central-1", "us-east-1", "ap-northeast-1")
    ]
    geo = [
        plain("g.example.org", SetIdentifier="eu", GeoLocation={"ContinentCode": "EU"}),
        plain("g.example.org", SetIdentifier="de", GeoLocation={"CountryCode": "DE"}),
        plain(
            "g.example.org",
            SetIdentifier="ny",
            GeoLocation={"CountryCode": "US", "SubdivisionCode": "NY"},
        ),
        plain("g.example.org", SetIdentifier="rest", GeoLocation={"CountryCode": "*"}),
    ]
    failover = [
        plain("f.example.org", SetIdentifier="one", Failover="PRIMARY", **ids),
        plain("f.example.org", SetIdentifier="two", Failover="SECONDARY"),
    ]
    several = [
        plain("m.example.org", SetIdentifier=f"{n}", MultiValueAnswer=True, data=[f"1.2.3.{n}"])
        for n in range(9)
    ]
    networks = [
        plain(
            "c.example.org",
            SetIdentifier=name,
            CidrRoutingConfig={"CollectionId": collection, "LocationName": name},
        )
        for name in ("office", "*")
    ]
    near = [
        plain(
            "p.example.org",
            SetIdentifier="region",
            GeoProximityLocation={"AWSRegion": "eu-west-1", "Bias": -99},
        ),
        plain(
            "p.example.org",
            SetIdentifier="point",
            GeoProximityLocation={"Coordinates": {"Latitude": "40.71", "Longitude": "-74.01"}},
        ),
    ]
    aliases = [
        alias("alias.example.org", "w.example.org", own),
        alias("alias2.example.org", "alias.example.org", own),
        alias("lb.example.org", "lb-1.eu-central-1.elb.amazonaws.com", "Z215JYRZR1TBD5"),
        alias("wa.example.org", "f.example.org", own, SetIdentifier="a", Weight=1),
    ]
    return [*weights, *regions, *geo, *failover, *several, *networks, *near, *aliases]


def canonical(own):
    """As the vendor tells a set: names in lower case, with a dot; values in no order."""
    own = dict(own)
    dotted = lambda name: name.rstrip(".").lower().replace("*", "\\052") + "."
    own["Name"] = dotted(own["Name"])
    if "AliasTarget" in own:
        target = own["AliasTarget"]
        own["AliasTarget"] = {**target, "DNSName": dotted(target["DNSName"])}
    if "ResourceRecords" in own:
        values = own["ResourceRecords"]
        own["ResourceRecords"] = sorted(values, key=lambda value: value["Value"])
    return own


def every_set():
    """All types and policies are taken, told again as they were, and deleted as they are told."""
    own = zone()
    collection = api.create_cidr_collection(Name="offices", CallerReference="x")["Collection"]
    networks = [{"LocationName": "office", "Action": "PUT", "CidrList": ["91.0.0.0/8"]}]
    api.change_cidr_collection(
        Id=collection["Id"], CollectionVersion=collection["Version"], Changes=networks
    )
    blocks = api.list_cidr_blocks(CollectionId=collection["Id"])["CidrBlocks"]
    assert blocks == [{"CidrBlock": "91.0.0.0/8", "LocationName": "office"}]
    assert len(api.list_cidr_collections()["CidrCollections"]) == 1
    written = [plain(f"T-{rtype}.example.org", rtype, data=data) for rtype, data in VALUES.items()]
    written += [plain("*.Wild.example.org", data=["9.9.9.9"])]
    written += policies(own, check("one"), collection["Id"])
    change(own, *[("CREATE", one) for one in written])
    told = [one for one in sets(own) if one["Type"] not in ("SOA", "NS") or one["Name"][0] == "t"]
    key = lambda one: (one["Name"], one["Type"], one.get("SetIdentifier", ""))
    assert sorted(map(canonical, written), key=key) == sorted(map(canonical, told), key=key)
    targets_first = sorted(told, key=lambda one: "AliasTarget" in one)
    change(own, *[("UPSERT", one) for one in targets_first])
    change(own, *[("DELETE", one) for one in reversed(told) if "AliasTarget" in one])
    change(own, *[("DELETE", one) for one in told if "AliasTarget" not in one])
    assert [one["Type"] for one in sets(own)] == ["NS", "SOA"]


def pages():
    """Pages end anywhere in a group, and the next begins there."""
    own = zone()
    names = [f"n{at:03}.example.org." for at in range(310)]
    change(own, *[("CREATE", plain(name)) for name in names])
    weights = [plain("n100.example.org", "TXT", data=['"x"'], SetIdentifier=f"{at}", Weight=1) for at in range(5)]
    change(own, *[("CREATE", one) for one in weights])
    others = ["*.n001.example.org", "n001-a.example.org", "a.n001.example.org"]
    change(own, *[("CREATE", plain(name)) for name in others])
    first = api.list_resource_record_sets(HostedZoneId=own, MaxItems="1000")
    assert len(first["ResourceRecordSets"]) == 300 and first["MaxItems"] == "300"
    assert first["IsTruncated"]
    for size in (1, 2, 7, 300):
        found = api.get_paginator("list_resource_record_sets").paginate(
            HostedZoneId=own, PaginationConfig={"PageSize": size}
        )
        told = [one for page in found for one in page["ResourceRecordSets"]]
        keys = [(one["Name"], one["Type"], one.get("SetIdentifier")) for one in told]
        assert len(keys) == len(set(keys)) == 320, (size, len(keys))
    names = [one["Name"] for one in told]
    at = names.index("n001.example.org.")
    # A hyphen sorts before the dot, and the asterisk before letters.
    around = ["n001-a.example.org.", "n001.example.org.", "\\052.n001.example.org."]
    assert names[at - 1 : at + 3] == [*around, "a.n001.example.org."], names[at - 2 : at + 4]
    start = {"StartRecordName": "n100.example.org", "StartRecordType": "TXT"}
    rest = api.list_resource_record_sets(
        HostedZoneId=own, StartRecordIdentifier="3", MaxItems="1", **start
    )
    assert rest["ResourceRecordSets"][0]["SetIdentifier"] == "3"
    assert rest["NextRecordIdentifier"] == "4" and rest["NextRecordName"] == "n100.example.org."
    lone = {"HostedZoneId": own, "StartRecordType": "A"}
    refused("InvalidInput", api.list_resource_record_sets, **lone)
    lone = {"HostedZoneId": own, "StartRecordName": "a", "StartRecordIdentifier": "1"}
    refused("InvalidInput", api.list_resource_record_sets, **lone)
    refused("InvalidInput", api.list_resource_record_sets, HostedZoneId=own, MaxItems="x")


def changes_settle():
    own = zone()
    batch = {
        "Comment": "why",
        "Changes": [{"Action": "CREATE", "ResourceRecordSet": plain("a.example.org")}],
    }
    made = api.change_resource_record_sets(HostedZoneId=own, ChangeBatch=batch)["ChangeInfo"]
    assert (made["Status"], made["Comment"]) == ("PENDING", "why")
    waiter = api.get_waiter("resource_record_sets_changed")
    waiter.wait(Id=made["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    told = api.get_change(Id=made["Id"])["ChangeInfo"]
    assert (told["Status"], told["Id"]) == ("INSYNC", made["Id"])
    refused("NoSuchChange", api.get_change, Id="C0000000000000")


def health_checks():
    first = api.create_health_check(
        CallerReference="a", HealthCheckConfig={"Type": "HTTP", "IPAddress": "1.2.3.4"}
    )["HealthCheck"]
    wanted = {"Port": 80, "RequestInterval": 30, "FailureThreshold": 3, "EnableSNI": False}
    assert wanted.items() <= first["HealthCheckConfig"].items(), first
    assert first["HealthCheckVersion"] == 1
    assert check("a") == first["Id"], "the same again is the same"
    make = lambda reference, **config: lambda: check(reference, **config)
    refused("HealthCheckAlreadyExists", make("a", IPAddress="1.2.3.5"))
    for address in ("192.0.2.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "fd00::1", "2001:db8::1"):
        refused("InvalidInput", make(f"bad-{address}", IPAddress=address))
    bad = [
        {"RequestInterval": 15},
        {"Type": "TCP"},
        {"Type": "HTTP_STR_MATCH"},
        {"SearchString": "x"},
        {"Type": "CALCULATED"},
        {"HealthThreshold": 1},
    ]
    for at, config in enumerate(bad):
        refused("InvalidInput", make(f"bad-{at}", **config))
    tcp = check("tcp", Type="TCP", Port=443, RequestInterval=10, Regions=["us-east-1", "eu-west-1", "sa-east-1"])
    match = check("match", Type="HTTPS_STR_MATCH", SearchString="ok", FullyQualifiedDomainName="a.example")
    both = {"Type": "CALCULATED", "ChildHealthChecks": [tcp, match], "HealthThreshold": 2}
    made = api.create_health_check(CallerReference="both", HealthCheckConfig=both)["HealthCheck"]
    assert both.items() <= made["HealthCheckConfig"].items()
    orphan = {"Type": "CALCULATED", "ChildHealthChecks": ["none"], "HealthThreshold": 1}
    params = {"CallerReference": "orphan", "HealthCheckConfig": orphan}
    refused("InvalidInput", api.create_health_check, **params)
    told = api.update_health_check(
        HealthCheckId=first["Id"], HealthCheckVersion=1, Disabled=True, Inverted=True
    )["HealthCheck"]
    assert told["HealthCheckVersion"] == 2
    assert told["HealthCheckConfig"]["Inverted"] and told["HealthCheckConfig"]["Disabled"]
    stale = {"HealthCheckId": first["Id"], "HealthCheckVersion": 1, "Port": 8080}
    refused("HealthCheckVersionMismatch", api.update_health_check, **stale)
    assert api.get_health_check(HealthCheckId=first["Id"])["HealthCheck"] == told
    told = api.update_health_check(
        HealthCheckId=match, ResetElements=["FullyQualifiedDomainName"], IPAddress="1.2.3.4"
    )["HealthCheck"]
    assert "FullyQualifiedDomainName" not in told["HealthCheckConfig"]
    pages = api.get_paginator("list_health_checks").paginate(PaginationConfig={"PageSize": 3})
    ids = [one["Id"] for page in pages for one in page["HealthChecks"]]
    assert len(ids) == len(set(ids)) == 4
    assert api.get_health_check_count()["HealthCheckCount"] == 4
    status = api.get_health_check_status(HealthCheckId=tcp)["HealthCheckObservations"]
    assert len(status) == 3 and status[0]["StatusReport"]["Status"].startswith("Success")
    api.delete_health_check(HealthCheckId=first["Id"])
    refused("NoSuchHealthCheck", api.delete_health_check, HealthCheckId=first["Id"])
    refused("NoSuchHealthCheck", api.get_health_check, HealthCheckId=first["Id"])
    refused("HealthCheckAlreadyExists", make("a"))
    own = zone()
    orphan = plain("w.example.org", SetIdentifier="1", Weight=1, HealthCheckId=first["Id"])
    not_changed(own, "NoSuchHealthCheck", ("CREATE", orphan))


def two_checks():
    check("one")
    check("two")


def too_many_health_checks():
    for at in range(200):
        check(f"{at}")
    refused("TooManyHealthChecks", lambda: check("one more"))


def weighted(name, identifier, weight=1, **more):
    return plain(name, SetIdentifier=identifier, Weight=weight, **more)


def bad_batches():
    """Whatever breaks a rule is refused whole, by the vendor's code, and nothing of it stays."""
    own = zone("zone.example")
    a, b, c = (f"{letter}.zone.example" for letter in "abc")
    change(
        own,
        ("CREATE", plain(a)),
        ("CREATE", weighted(b, "one")),
        ("CREATE", weighted(b, "two", 2)),
        ("CREATE", plain(c, "CNAME", data=["x.example"])),
        ("CREATE", alias("alias.zone.example", a, own)),
        ("CREATE", plain("geo.zone.example", SetIdentifier="de", GeoLocation={"CountryCode": "DE"})),
        ("CREATE", plain("lat.zone.example", SetIdentifier="l", Region="eu-west-1")),
        ("CREATE", plain("fail.zone.example", SetIdentifier="f", Failover="PRIMARY")),
        ("CREATE", plain("many.zone.example", SetIdentifier="m", MultiValueAnswer=True)),
    )
    batch = lambda *changes, says=(): not_changed(own, "InvalidChangeBatch", *changes, says=says)
    form = lambda *changes, says=(): not_changed(own, "InvalidInput", *changes, says=says)
    create = lambda one, says=(): batch(("CREATE", one), says=says)
    new = "new.zone.example"
    # What is there, and what is not.
    create(plain(a), "but it already exists")
    create(plain(a, data=["5.6.7.8"]), "but it already exists")
    batch(("CREATE", plain(new)), ("CREATE", plain(a)), says="already exists")
    batch(("DELETE", plain(new)), says="but it was not found")
    other = "but the values provided do not match the current values"
    batch(("DELETE", plain(a, ttl=61)), says=other)
    batch(("DELETE", plain(a, data=["1.2.3.5"])), says=other)
    batch(("DELETE", weighted(b, "one", 2)), says=other)
    batch(("DELETE", weighted(b, "three")), says="set-identifier='three'] but it was not found")
    twice = "The request contains an invalid set of changes"
    batch(("DELETE", plain(a)), ("DELETE", plain(a)), says=twice)
    batch(("CREATE", plain(new)), ("DELETE", plain(new)), says=twice)
    batch(("UPSERT", plain(a)), ("UPSERT", plain(a)), says=twice)
    # One policy for one name and type.
    kind = "cannot be created as other RRSets exist with the same name and type"
    batch(("UPSERT", plain(b)), says=kind)
    lone = "cannot be created as a non-weighted set exists with the same name and type"
    batch(("UPSERT", weighted(a, "one")), says=lone)
    create(weighted("lat.zone.example", "w"), lone)
    region = {"SetIdentifier": "x", "Region": "us-east-1"}
    create(plain(b, **region), ["and Region Name=us-east-1", "non-latency"])
    change_kind = plain(b, SetIdentifier="one", Region="us-east-1")
    batch(("DELETE", weighted(b, "two", 2)), ("UPSERT", change_kind), says="non-latency")
    # One set of each place.
    create(plain("geo.zone.example", SetIdentifier="x", GeoLocation={"CountryCode": "DE"}), "location")
    create(plain("lat.zone.example", SetIdentifier="x", Region="eu-west-1"), "location")
    create(plain("fail.zone.example", SetIdentifier="x", Failover="PRIMARY"), "location")
    create(weighted(b, "three", ttl=61), "TTL")
    # Elements that do not go together.
    form(("CREATE", plain(new, SetIdentifier="x")), says="found none")
    form(("CREATE", plain(new, Weight=1)), says="Missing field 'SetIdentifier'")
    form(("CREATE", plain(new, SetIdentifier="x", Weight=1, Region="eu-west-1")), says="more than one")
    form(("CREATE", {**alias(new, a, own), "TTL": 60}), says="more than one")
    form(("CREATE", {"Name": new, "Type": "A", "TTL": 60}), says="ResourceRecords")
    form(("CREATE", {"Name": new, "Type": "A"}), says="found none")
    no_ttl = plain(new)
    del no_ttl["TTL"]
    form(("CREATE", no_ttl), says="Missing field 'TTL'")
    many = {"SetIdentifier": "x", "MultiValueAnswer": True}
    form(("CREATE", plain(new, "CNAME", data=["x.example"], **many)), says="MultiValueAnswer")
    form(("CREATE", {**alias(new, a, own), **many}), says="MultiValueAnswer")
    form(("CREATE", plain(new, HealthCheckId="x")), says="HealthCheckId")
    for place in ({"ContinentCode": "XX"}, {"CountryCode": "de"}, {}, {"ContinentCode": "EU", "CountryCode": "DE"}):
        form(("CREATE", plain(new, SetIdentifier="x", GeoLocation=place)))
    ny = {"CountryCode": "DE", "SubdivisionCode": "BE"}
    form(("CREATE", plain(new, SetIdentifier="x", GeoLocation=ny)))
    for place in ({}, {"AWSRegion": "eu-west-1", "LocalZoneGroup": "us-east-1-bos-1"}):
        form(("CREATE", plain(new, SetIdentifier="x", GeoProximityLocation=place)))
    # CNAMEs stand alone.
    conflict = "is not permitted as it conflicts with other records with the same DNS name"
    create(plain(a, "CNAME", data=["x.example"]), conflict)
    create(plain(c), conflict)
    create(plain("zone.example", "CNAME", data=["x.example"]), "is not permitted at apex in zone")
    create(plain(new, "CNAME", data=["x.example", "y.example"]), "exactly one value")
    # Names.
    for name in ("notzone.example", "example", "zone.example.org", "a.zone.example.org"):
        create(plain(name), "is not permitted in zone zone.example.")
    for name in ("a..zone.example", "x" * 64 + ".zone.example", "a b.zone.example", "*a.zone.example"):
        create(plain(name), "FATAL problem")
    # Aliases.
    missing = "but that target was not found"
    create(alias(new, "nothing.zone.example", own), missing)
    create(alias(new, a, own, rtype="AAAA"), missing)
    create(alias(new, "a.other.example", own), "does not lie within the target zone")
    create(alias(new, a, "ZNOWHERE"), "that hosted zone was not found")
    batch(("CREATE", alias(new, "z.zone.example", own)), ("CREATE", plain("z.zone.example")), says=missing)
    batch(("DELETE", plain(a)), says="is an alias that targets a.zone.example.")
    create(alias(new, "d1.cloudfront.net", "Z2FDTNDATAQYW2"), "EvaluateTargetHealth")
    # Values.
    bad = {
        "A": ["1.2.3", "1.2.3.256", "host.example", "::1", ""],
        "AAAA": ["1.2.3.4", "2a00::g"],
        "CAA": ["0 issue ca.example", "256 issue \"x\""],
        "CNAME": ["a b", "a..b"],
        "MX": ["mail.example", "65536 mail.example"],
        "SRV": ["1 2 3", "1 2 65536 host.example"],
        "TXT": ["no quotes", '"open', '"' + "x" * 256 + '"', '"bad \\9"'],
        "TLSA": ["3 1 1 xyz"],
        "HTTPS": ["x .", "1 . port=x"],
    }
    for rtype, values in bad.items():
        for value in values:
            create(plain(new, rtype, data=[value]), "FATAL problem")
    create(plain(new, data=["1.2.3.4", "1.2.3.4"]), "Duplicate")
    create(weighted(new, "x", data=["1.2.3.4", "1.2.3.5"]), "only one ResourceRecord")
    # The zone's own sets.
    ns = next(one for one in sets(own) if one["Type"] == "NS")
    soa = next(one for one in sets(own) if one["Type"] == "SOA")
    batch(("DELETE", ns), says="at least one NS record")
    batch(("DELETE", soa), says="exactly one SOA record")
    # What is wrong is told together, and all of it.
    everything = ["already exists", "was not found", ", Tried to delete"]
    batch(("CREATE", plain(a)), ("DELETE", plain(new)), says=everything)
    # Kinds are changed by deletes and creates in one batch, the deletes before.
    turned = plain(b)
    batch(("CREATE", turned), ("DELETE", weighted(b, "one")), ("DELETE", weighted(b, "two", 2)), says=kind)
    change(own, ("DELETE", weighted(b, "one")), ("DELETE", weighted(b, "two", 2)), ("CREATE", turned))
    change(own, ("DELETE", turned), ("CREATE", weighted(b, "one")))
    change(own, ("DELETE", plain(a)), ("DELETE", alias("alias.zone.example", a, own)))
    assert a + "." not in [one["Name"] for one in sets(own)]


def shapes():
    """What the description forbids never gets as far as the rules; botocore lets it through."""
    own = zone()
    before = sets(own)
    bare = client()
    bad = [
        (weighted("a.example.org", "x", 256), "less than or equal to 255"),
        (plain("a.example.org", SetIdentifier="x", Region="mars"), "enum value set"),
        (plain("a.example.org", SetIdentifier="y" * 129, Weight=1), "length less than or equal to 128"),
        (plain("a.example.org", "TYPE1"), "enum value set"),
        (plain("a.example.org", SetIdentifier="x", GeoProximityLocation={"Coordinates": {"Latitude": "40.712", "Longitude": "1"}}), "pattern"),
        (plain("a.example.org", SetIdentifier="x", GeoProximityLocation={"AWSRegion": "eu-west-1", "Bias": 100}), "99"),
        (plain("a.example.org", ttl=2**31), "2147483647"),
        (plain("a.example.org", "TXT", data=['"' + "x" * 4000 + '"']), "4000"),
    ]
    for one, words in bad:
        call = lambda one=one: change(own, ("CREATE", one), by=bare)
        refused("InvalidInput", call, words, "at 'changeBatch.changes.1.member.resourceRecordSet.")
        try:
            change(own, ("CREATE", one))
        except route53_model.Broken:
            continue
        raise AssertionError(f"{one} passed for what the description allows")
    two = {**weighted("a.example.org", "x", 256), "Region": "mars"}
    refused("InvalidInput", lambda: change(own, ("CREATE", two), by=bare), "2 validation errors")
    params = {"CallerReference": "x", "HealthCheckConfig": {"Type": "HTTP", "IPAddress": "1.2.3.4", "FailureThreshold": 11}}
    refused("InvalidInput", bare.create_health_check, **params)
    assert sets(own) == before


def raw_xml():
    """Names that nobody knows are refused; the test wants the documents' order kept, too."""
    import urllib.request

    own = zone()

    def post(inner, namespace="https://route53.amazonaws.com/doc/2013-04-01/", sign=True):
        root = "ChangeResourceRecordSetsRequest"
        body = f'<{root} xmlns="{namespace}"><ChangeBatch><Changes><Change>{inner}</Change></Changes></ChangeBatch></{root}>'
        url = f"{URL}/2013-04-01/hostedzone/{own}/rrset"
        signed = botocore.awsrequest.AWSRequest("POST", url, data=body.encode())
        if sign:
            keys = boto3.Session().get_credentials()
            botocore.auth.SigV4Auth(keys, "route53", "us-east-1").add_auth(signed)
        headers = dict(signed.headers)
        request = urllib.request.Request(url, body.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    values = "<ResourceRecords><ResourceRecord><Value>1.2.3.4</Value></ResourceRecord></ResourceRecords>"
    inner = "<Name>a.example.org</Name><Type>A</Type><TTL>60</TTL>" + values
    change = lambda own: f"<Action>CREATE</Action><ResourceRecordSet>{own}</ResourceRecordSet>"
    swapped = "<Type>A</Type><Name>a.example.org</Name><TTL>60</TTL>" + values
    for bad in (swapped, inner + "<Colour>red</Colour>", inner + "<TTL>60</TTL>", inner[:-1]):
        status, body = post(change(bad))
        assert status == 400 and "<Code>MalformedInput</Code>" in body, body
    status, body = post(change(inner), namespace="https://example.org/")
    assert status == 400 and "MalformedInput" in body
    status, body = post(change(inner), sign=False)
    assert status == 403 and "MissingAuthenticationToken" in body
    status, body = post(change(inner))
    assert status == 200 and "PENDING" in body, body


def limits():
    own = zone()
    at = lambda n: f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
    group = lambda first, count: [(f"n{first + n}.example.org", [at(first + n)]) for n in range(count)]
    creates = lambda pairs, action="CREATE": [(action, plain(name, data=data)) for name, data in pairs]
    change(own, *creates(group(0, 1000)))
    records = "Number of records limit of 1000 exceeded."
    not_changed(own, "InvalidChangeBatch", *creates(group(2000, 1001)), says=records)
    change(own, *creates(group(0, 500), "UPSERT"))
    not_changed(own, "InvalidChangeBatch", *creates(group(0, 501), "UPSERT"), says=records)
    text = lambda count: ['"' + f"{n:03}" + "x" * 195 + '"' for n in range(count)]
    change(own, ("CREATE", plain("t.example.org", "TXT", data=text(160))))
    characters = "limit of 32000 exceeded"
    over = plain("t2.example.org", "TXT", data=text(161))
    not_changed(own, "InvalidChangeBatch", ("CREATE", over), says=characters)
    over = plain("t2.example.org", "TXT", data=text(81))
    not_changed(own, "InvalidChangeBatch", ("UPSERT", over), says=characters)
    values = [at(n) for n in range(401)]
    change(own, ("CREATE", plain("v.example.org", data=values[:400])))
    not_changed(own, "InvalidChangeBatch", ("CREATE", plain("v2.example.org", data=values)), says="400")
    hundred = [("CREATE", weighted("w.example.org", f"{n}")) for n in range(100)]
    change(own, *hundred)
    not_changed(own, "InvalidChangeBatch", ("CREATE", weighted("w.example.org", "100")), says="100")
    near = lambda n: plain("p.example.org", SetIdentifier=f"{n}", GeoProximityLocation={"Coordinates": {"Latitude": f"{n}", "Longitude": "0"}})
    change(own, *[("CREATE", near(n)) for n in range(30)])
    not_changed(own, "InvalidChangeBatch", ("CREATE", near(31)), says="30")
    for first in range(10_000, 18_000, 1_000):
        change(own, *creates(group(first, 1000)))
    full = 10_000 - api.get_hosted_zone_limit(Type="MAX_RRSETS_BY_ZONE", HostedZoneId=own)["Count"]
    change(own, *creates(group(20_000, full)))
    not_changed(own, "InvalidChangeBatch", ("CREATE", plain("over.example.org")), says="10000")


def throttled():
    own = zone()
    many = lambda: [api.get_hosted_zone(Id=own) for _ in range(2000)]
    refused("Throttling", many, "Rate exceeded")
    assert seen["answers"] >= 50, seen
    patient = client(attempts=8)
    assert patient.get_hosted_zone(Id=own)["HostedZone"]["Name"] == "example.org."


def throttled_by_changes():
    """An UPSERT takes two tokens; 1,500 are there at first."""
    own = zone()
    names = [f"n{at}.example.org" for at in range(500)]
    change(own, *[("UPSERT", plain(name)) for name in names])
    change(own, *[("UPSERT", plain(name)) for name in names[:250]])
    upserts = [("UPSERT", plain(name)) for name in names[:100]]
    refused("Throttling", lambda: change(own, *upserts), "Rate exceeded")
    patient = client(attempts=8)
    change(own, *upserts, by=patient)


def denied(own, code, reads):
    """With the credentials that the test gave; reads works where it is `yes`."""
    if reads == "yes":
        assert len(sets(own)) == 2
    else:
        refused(code, api.list_resource_record_sets, HostedZoneId=own)
    error = refused(code, lambda: change(own, ("CREATE", plain("a.example.org"))))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def signatures():
    own = zone()
    # What a path and a query may hold is signed as it is sent.
    names = api.list_resource_record_sets(HostedZoneId=own, StartRecordName="\\052.a~b_c.example.org")
    assert names["IsTruncated"] is False
    api.list_hosted_zones(Marker="a b&c=d/e")
    stranger = client(aws_access_key_id="AKIDOTHER", aws_secret_access_key="secret")
    refused("InvalidClientTokenId", stranger.get_hosted_zone, Id=own)
    keys = boto3.Session().get_credentials()
    liar = client(aws_access_key_id=keys.access_key, aws_secret_access_key="secret")
    refused("SignatureDoesNotMatch", liar.get_hosted_zone, Id=own)
    far = client(region_name="eu-west-1")
    refused("SignatureDoesNotMatch", far.get_hosted_zone, Id=own)
    import datetime
    import unittest.mock

    for minutes, words in ((-10, "Signature expired"), (10, "Signature not yet current")):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        with unittest.mock.patch("botocore.auth.get_current_datetime", lambda: now):
            refused("SignatureDoesNotMatch", client().get_hosted_zone, words, Id=own)
    with_token = client(
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token="token",
    )
    assert with_token.get_hosted_zone(Id=own)["HostedZone"]["Name"] == "example.org."


def busy(own):
    change(own, ("CREATE", plain("a.example.org")))
    refused("PriorRequestNotComplete", lambda: change(own, ("CREATE", plain("b.example.org"))))
    change(own, ("CREATE", plain("b.example.org")), by=client(attempts=8))


def protected(own):
    not_changed(own, "InvalidChangeBatch", ("UPSERT", plain("a.example.org")), says="protected")
    change(own, ("UPSERT", plain("b.example.org")))


def faults(own):
    """The test has laid out: a 503, a torn connection, one torn after the fact, a slow answer."""
    error = refused("ServiceUnavailable", api.get_hosted_zone, Id=own)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    made = plain("a.example.org")
    for _ in range(2):
        try:
            change(own, ("CREATE", made))
        except botocore.exceptions.ConnectionClosedError:
            continue
        raise AssertionError("the connection was not torn")
    assert len(sets(own)) == 3, "the second was carried out"
    change(own, ("DELETE", made), by=api)


def asked(server, port, name, rtype="A", subnet=None):
    """What a resolver near that network is answered."""
    options = [dns.edns.ECSOption(subnet, 24)] if subnet else []
    query = dns.message.make_query(name, rtype, use_edns=0, options=options)
    reply = dns.query.udp(query, server, port=int(port), timeout=5)
    if subnet:
        assert reply.options[0].scopelen == 24, reply
    return reply


def dns_answers(server, port):
    """What was written is what is answered, as another program reads it."""
    own = zone()
    collection = api.create_cidr_collection(Name="offices", CallerReference="x")["Collection"]
    for rtype, data in VALUES.items():
        change(own, ("CREATE", plain(f"t-{rtype}.example.org", rtype, data=data)))
    for rtype, data in VALUES.items():
        answer = asked(server, port, f"t-{rtype}.example.org", rtype).answer
        found = {record.to_text() for one in answer for record in one}
        # The vendor's escapes are octal, those of master files decimal.
        data = [value.replace("\\040", "\\032") for value in data]
        wanted = dns.rrset.from_text_list("x.", 60, "IN", rtype, data, relativize=False, origin=dns.name.root)
        assert found == {record.to_text() for record in wanted}, (rtype, found)
    geo = [("eu", {"ContinentCode": "EU"}, "1.1.1.1"), ("us", {"CountryCode": "US"}, "2.2.2.2"), ("rest", {"CountryCode": "*"}, "3.3.3.3")]
    change(own, *[("CREATE", plain("g.example.org", SetIdentifier=name, GeoLocation=at, data=[ip])) for name, at, ip in geo])
    for subnet, ip in (("91.0.0.0", "1.1.1.1"), ("12.0.0.0", "2.2.2.2"), ("126.0.0.0", "3.3.3.3")):
        answer = asked(server, port, "g.example.org", subnet=subnet).answer
        assert answer[0][0].to_text() == ip, answer
    networks = [{"LocationName": "office", "Action": "PUT", "CidrList": ["91.0.0.0/8"]}]
    api.change_cidr_collection(Id=collection["Id"], Changes=networks)
    for name, ip in (("office", "1.1.1.1"), ("*", "2.2.2.2")):
        at = {"CollectionId": collection["Id"], "LocationName": name}
        one = plain("c.example.org", SetIdentifier=name, CidrRoutingConfig=at, data=[ip])
        change(own, ("CREATE", one))
    for subnet, ip in (("91.0.0.0", "1.1.1.1"), ("12.0.0.0", "2.2.2.2")):
        answer = asked(server, port, "c.example.org", subnet=subnet).answer
        assert answer[0][0].to_text() == ip, answer
    several = [f"4.4.4.{n}" for n in range(9)]
    for ip in several:
        one = plain("m.example.org", SetIdentifier=ip, MultiValueAnswer=True, data=[ip])
        change(own, ("CREATE", one))
    found = [asked(server, port, "m.example.org").answer[0] for _ in range(40)]
    assert all(len(one) == 8 for one in found)
    assert {record.to_text() for one in found for record in one} == set(several)
    nobody = asked(server, port, "nobody.example.org")
    assert nobody.rcode() == 3 and nobody.authority[0].rdtype == dns.rdatatype.SOA
    nothing = asked(server, port, "g.example.org", "TXT")
    assert nothing.rcode() == 0 and not nothing.answer
    change(own, ("CREATE", plain("*.wild.example.org", "CNAME", data=["g.example.org"])))
    answer = asked(server, port, "any.wild.example.org", subnet="12.0.0.0").answer
    assert [one.to_text().split()[-1] for one in answer] == ["g.example.org.", "2.2.2.2"]


def levers(server, port):
    """What of a health check pushes a verdict of one's own, without any endpoint."""
    own = zone()
    answer = lambda: asked(server, port, "f.example.org").answer[0][0].to_text()
    pushed = check("pushed", Disabled=True)
    both = {"Type": "CALCULATED", "ChildHealthChecks": [pushed], "HealthThreshold": 1}
    made = api.create_health_check(CallerReference="both", HealthCheckConfig=both)
    one = {"SetIdentifier": "1", "Failover": "PRIMARY", "HealthCheckId": made["HealthCheck"]["Id"]}
    change(own, ("CREATE", plain("f.example.org", data=["1.1.1.1"], **one)))
    two = {"SetIdentifier": "2", "Failover": "SECONDARY"}
    change(own, ("CREATE", plain("f.example.org", data=["2.2.2.2"], **two)))
    assert answer() == "1.1.1.1"
    api.update_health_check(HealthCheckId=pushed, Inverted=True)
    assert answer() == "2.2.2.2"
    api.update_health_check(HealthCheckId=made["HealthCheck"]["Id"], HealthThreshold=0)
    assert answer() == "1.1.1.1"
    api.update_health_check(HealthCheckId=made["HealthCheck"]["Id"], HealthThreshold=2)
    assert answer() == "2.2.2.2"


def nearest():
    """Geoproximity and latency sets of one name take each other's place in one batch, and in no other way."""
    own, name = zone(), "shop.example.org"
    point = lambda north, east: {"Coordinates": {"Latitude": north, "Longitude": east}, "Bias": 0}
    near = [
        plain(name, SetIdentifier="meridian/aws", GeoProximityLocation=point("45.80", "-119.70")),
        plain(name, SetIdentifier="meridian/gke", GeoProximityLocation=point("24.10", "120.60")),
    ]
    quick = [
        plain(name, SetIdentifier="meridian/aws", Region="us-west-2"),
        plain(name, SetIdentifier="meridian/gke", Region="ap-east-2"),
    ]
    there = lambda: [one for one in sets(own) if one["Name"] == name + "."]
    change(own, *(("CREATE", one) for one in near))
    for old, new in ((near, quick), (quick, near)):
        lone = lambda: change(own, ("CREATE", {**new[0], "SetIdentifier": "meridian/new"}))
        refused("InvalidChangeBatch", lone)
        change(own, *(("DELETE", one) for one in old), *(("CREATE", one) for one in new))
        assert there() == [canonical(one) for one in new], there()
    # One set of a region, and one of a point.
    for twin in (near[0], {**near[0], "GeoProximityLocation": point("45.80", "-119.70")}):
        again = lambda: change(own, ("CREATE", {**twin, "SetIdentifier": "meridian/twin"}))
        refused("InvalidChangeBatch", again)


def after_a_foreign_hand(own, private, emptied, gone):
    """What the test did behind the API's back is there."""
    foreign = [one for one in sets(own) if one["Name"] == "foreign.example.org."]
    assert foreign == [plain("foreign.example.org.", SetIdentifier="x", Weight=7)]
    change(own, ("DELETE", foreign[0]))
    assert [one["Type"] for one in sets(emptied)] == ["NS", "SOA"]
    refused("NoSuchHostedZone", api.list_resource_record_sets, HostedZoneId=gone)
    same = api.list_hosted_zones_by_name(DNSName="example.org")["HostedZones"]
    kinds = {zone["Id"]: zone["Config"]["PrivateZone"] for zone in same[:2]}
    assert kinds == {f"/hostedzone/{own}": False, f"/hostedzone/{private}": True}
    limit = {"Type": "MAX_VPCS_ASSOCIATED_BY_ZONE", "HostedZoneId": private}
    assert api.get_hosted_zone_limit(**limit)["Count"] == 1


globals()[sys.argv[2]](*sys.argv[3:])
print(f"{sys.argv[2]}: {seen['requests']} requests, {seen['answers']} answers, {seen['errors']} errors")
print("operations:", " ".join(sorted(seen["operations"])))
