"""Routing policies and health checks, by Google's own clients, and what a resolver is then told."""

import json
import os
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

from cloud_dns_double import (
    NAME, PROJECT, ZONE,
    api, change, everything, main, raises, refused, routed, rrset, wait, zone,
)

IN = {"project": PROJECT, "managedZone": ZONE}
REGIONS = ["us-central1", "europe-west1", "asia-east1"]
URL = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/healthChecks/"


def _check(name="web", **more):
    body = {
        "name": name, "type": "HTTPS", "checkIntervalSec": 30, "sourceRegions": REGIONS,
        "httpsHealthCheck": {"host": "web.example.org", "requestPath": "/healthz", "port": 443},
    }
    body.update(more)
    return {field: value for field, value in body.items() if value is not None}


def _insert(service, **more):
    operation = service.healthChecks().insert(project=PROJECT, body=_check(**more)).execute()
    return wait(service, operation)


# --- Health checks -------------------------------------------------------------------------------


def health_checks():
    service = api("compute")
    checks = service.healthChecks()
    named = lambda name: {"project": PROJECT, "healthCheck": name}
    request = "11111111-2222-3333-4444-555555555555"
    first = checks.insert(project=PROJECT, body=_check(), requestId=request).execute()
    assert first["status"] == "RUNNING" and first["operationType"] == "insert"
    refused(lambda: checks.get(**named("web")).execute(), 404, "notFound", "was not found")
    again = checks.insert(project=PROJECT, body=_check(), requestId=request).execute()
    assert again["name"] == first["name"], "one request, however often it is sent"
    wait(service, first)
    made = checks.get(**named("web")).execute()
    assert made["selfLink"] == URL + "web" and made["timeoutSec"] == 5 and made["healthyThreshold"] == 2
    assert made["httpsHealthCheck"]["proxyHeader"] == "NONE"
    refused(lambda: checks.insert(project=PROJECT, body=_check()).execute(), 409, "alreadyExists", "/web'")
    wait(service, checks.patch(**named("web"), body={"timeoutSec": 10, "httpsHealthCheck": {"port": 8443}}).execute())
    patched = checks.get(**named("web")).execute()
    assert patched["timeoutSec"] == 10 and patched["httpsHealthCheck"]["port"] == 8443
    assert patched["httpsHealthCheck"]["requestPath"] == "/healthz"
    tcp = {"httpsHealthCheck": None, "type": "TCP", "tcpHealthCheck": {"port": 53}}
    wait(service, checks.patch(**named("web"), body=tcp).execute())
    assert "httpsHealthCheck" not in checks.get(**named("web")).execute()
    for name in ("api", "mail"):
        _insert(service, name=name)
    found, call = [], checks.list(project=PROJECT, maxResults=2)
    while call is not None:
        page = call.execute()
        found += [one["name"] for one in page["items"]]
        call = checks.list_next(call, page)
    assert found == ["api", "mail", "web"]
    only = checks.list(project=PROJECT, filter='name = "mail"').execute()["items"]
    assert [one["name"] for one in only] == ["mail"]
    like = lambda how: [one["name"] for one in checks.list(project=PROJECT, filter=how).execute().get("items", [])]
    assert like("name eq ma.*") == ["mail"] and like("name ne ma.*") == ["api", "web"]
    assert like('name = "ma.*"') == [] and like("name eq ma") == [], "a pattern matches whole"
    wait(service, checks.delete(**named("web")).execute())
    for call in (checks.get, checks.delete):
        refused(lambda: call(**named("web")).execute(), 404, "notFound")
    gone = lambda: checks.patch(**named("web"), body={"timeoutSec": 5}).execute()
    refused(gone, 404, "notFound")


def health_checks_refused():
    checks = api("compute").healthChecks()
    for more, word in [
        ({"name": "Upper"}, "resource.name"),
        ({"name": "x" * 64}, "resource.name"),
        ({"checkIntervalSec": 29}, "checkIntervalSec"),
        ({"checkIntervalSec": None}, "checkIntervalSec"),
        ({"checkIntervalSec": 301}, "checkIntervalSec"),
        ({"timeoutSec": 31}, "timeoutSec"),
        ({"healthyThreshold": 11}, "healthyThreshold"),
        ({"sourceRegions": REGIONS[:2]}, "sourceRegions"),
        ({"sourceRegions": REGIONS[:2] * 2}, "sourceRegions"),
        ({"sourceRegions": REGIONS[:2] + ["mars-north1"]}, "sourceRegions"),
        ({"type": "PING"}, "resource.type"),
        ({"type": "TCP"}, "httpsHealthCheck"),
        ({"httpsHealthCheck": {"port": 0}}, "port"),
        ({"httpsHealthCheck": {"requestPath": "healthz"}}, "requestPath"),
        ({"httpsHealthCheck": {"proxyHeader": "PROXY_V1"}}, "proxyHeader"),
        ({"httpsHealthCheck": None, "type": "TCP", "tcpHealthCheck": {"request": "hi"}}, "request"),
        ({"httpsHealthCheck": None, "type": "SSL", "sslHealthCheck": {}}, "resource.type"),
        ({"httpsHealthCheck": None, "type": "GRPC", "grpcHealthCheck": {"port": 1}}, "resource.type"),
    ]:
        insert = lambda: checks.insert(project=PROJECT, body=_check(**more)).execute()
        refused(insert, 400, "invalid", word)
    misspelt = lambda: checks.insert(project=PROJECT, body=_check(intervall=3)).execute()
    refused(misspelt, 400, "badRequest", "intervall")
    assert "items" not in checks.list(project=PROJECT).execute()


def health_checks_full():
    """With room for two."""
    service = api("compute")
    _insert(service, name="one")
    _insert(service, name="two")
    insert = lambda: service.healthChecks().insert(project=PROJECT, body=_check(name="three")).execute()
    refused(insert, 403, "quotaExceeded", "HEALTH_CHECKS")
    wait(service, service.healthChecks().delete(project=PROJECT, healthCheck="one").execute())
    _insert(service, name="three")


def health_checks_denied():
    """Records, but no health checks."""
    checks = api("compute").healthChecks()
    refused(lambda: checks.list(project=PROJECT).execute(), 403, "forbidden", "compute.healthChecks.list")
    insert = lambda: checks.insert(project=PROJECT, body=_check()).execute()
    refused(insert, 403, "forbidden", "compute.healthChecks.create")
    change(api(), [rrset("a.example.org.", "A", ["1.2.3.4"])])


# --- Policies ------------------------------------------------------------------------------------


def _geo(*items, **more):
    return {"geo": {"items": [dict(location=where, **what) for where, what in items], **more}}


def _wrr(*items):
    return {"wrr": {"items": [dict(weight=weight, **what) for weight, what in items]}}


def _data(*values):
    return {"rrdatas": list(values)}


def _checked(*values):
    return {"healthCheckedTargets": {"externalEndpoints": list(values)}}


def _pair(primary, backup, **more):
    return {"primaryBackup": {"primaryTargets": primary["healthCheckedTargets"], "backupGeoTargets": backup["geo"], **more}}


DE, US, JP = "1.2.3.1", "1.2.3.2", "1.2.3.3"
EUROPE, AMERICA, ASIA = "europe-west3", "us-central1", "asia-northeast1"
EVERYWHERE = ((EUROPE, DE), (AMERICA, US), (ASIA, JP))


def _sets(check):
    web = {"healthCheck": check}
    plain = [(where, _data(ip)) for where, ip in EVERYWHERE]
    healthy = [(where, _checked(ip)) for where, ip in EVERYWHERE]
    return [
        routed("geo.example.org.", "A", _geo(*plain)),
        routed("sick.example.org.", "A", _geo(*healthy) | web),
        routed("fence.example.org.", "A", _geo(*healthy, enableFencing=True) | web),
        routed("wrr.example.org.", "A", _wrr((0.75, _data(DE)), (0.25, _data(US)), (0, _data(JP)))),
        routed("sickwrr.example.org.", "A", _wrr((1, _checked(DE)), (1, _checked(US, JP))) | web),
        routed("pair.example.org.", "A", _pair(_checked(DE, US), _geo((ASIA, _data(JP)))) | web),
        routed("name.example.org.", "CNAME", _wrr((1, _data("geo.example.org.")))),
        routed("text.example.org.", "TXT", _geo((EUROPE, _data("hallo")), (AMERICA, _data("hello")))),
        routed("six.example.org.", "AAAA", _geo((EUROPE, _data("2001:DB8::1")))),
        routed("*.wild.example.org.", "A", _geo(*plain)),
    ]


def _bare(policy):
    """Without the kinds that the vendor adds."""
    if isinstance(policy, dict):
        return {name: _bare(own) for name, own in policy.items() if name != "kind"}
    return [_bare(one) for one in policy] if isinstance(policy, list) else policy


def policies():
    service, compute = api(), api("compute")
    _insert(compute)
    wanted = _sets(URL + "web")
    change(service, wanted)
    found = everything(service)
    for one in wanted:
        back = found[one["name"], one["type"]]
        assert "rrdatas" not in back, back
        if one["type"] not in ("AAAA", "TXT"):  # whose values have one form of their own
            assert _bare(back["routingPolicy"]) == one["routingPolicy"], back
        assert back["routingPolicy"]["kind"] == "dns#rRSetRoutingPolicy"
    assert '"hallo"' in str(found["text.example.org.", "TXT"])
    # The other client of the vendor's cannot read such a zone (its own fault, and good to know).
    assert raises(KeyError, lambda: list(zone().list_resource_record_sets())).args == ("rrdatas",)
    # Plain data do not match a policy, and a policy not another one.
    wrr = next(one for one in wanted if one["name"] == "wrr.example.org.")
    other = routed(wrr["name"], "A", _wrr((0.5, _data(DE)), (0.25, _data(US)), (0, _data(JP))))
    refused(lambda: change(service, [], [rrset(wrr["name"], "A", [DE])]), 412, "conditionNotMet")
    refused(lambda: change(service, [], [other]), 412, "conditionNotMet")
    empty = {"name": wrr["name"], "type": "A", "ttl": 300}
    refused(lambda: change(service, [], [empty]), 400, "invalid", "<empty>")
    # To another kind of policy: by a change; not by a patch, which leaves what is there.
    at = {"name": wrr["name"], "type": "A"}
    patch = lambda body: service.resourceRecordSets().patch(**IN, **at, body=body).execute()
    refused(lambda: patch({"routingPolicy": _geo((EUROPE, _data(DE)))}), 400, "invalid", "routingPolicy")
    lighter = patch({"routingPolicy": other["routingPolicy"]})
    assert lighter["routingPolicy"]["wrr"]["items"][0]["weight"] == 0.5
    refused(lambda: change(service, [rrset(wrr["name"], "A", [DE])], [wrr]), 412, "conditionNotMet")
    change(service, [rrset(wrr["name"], "A", [DE])], [lighter])
    change(service, [wrr], [rrset(wrr["name"], "A", [DE])])
    # A check that a policy uses stays.
    checks, named = compute.healthChecks(), {"project": PROJECT, "healthCheck": "web"}
    refused(lambda: checks.delete(**named).execute(), 400, "resourceInUseByAnotherResource", "web")
    change(service, [], [one for one in everything(service).values() if "routingPolicy" in one])
    wait(compute, checks.delete(**named).execute())
    assert len(everything(service)) == 2


def write():
    """Leaves every kind of policy behind, with a health check."""
    _insert(api("compute"))
    change(api(), _sets(URL + "web"))


def policies_refused():
    service = api()
    _insert(api("compute"))
    _insert(api("compute"), name="near", sourceRegions=None)
    check, good = {"healthCheck": URL + "web"}, (EUROPE, _data(DE))
    missing = (".weight' parameter", ".healthCheck' parameter", "backupGeoTargets", "primaryTargets")
    for policy, word in [
        ({}, "exactly one"),
        (_geo(good) | _wrr((1, _data(DE))), "exactly one"),
        (_geo(), "geo.items"),
        (_wrr(), "wrr.items"),
        (_geo(("DE", _data(DE))), "location"),
        (_geo(("europe-west99", _data(DE))), "location"),
        (_geo(good, good), "location"),
        (_geo((EUROPE, {})), "rrdata"),
        (_geo((EUROPE, _data())), "rrdata"),
        (_geo((EUROPE, _data("nonsense"))), "rrdata[0]"),
        (_geo((EUROPE, _data(DE) | {"weight": 1})), "weight"),
        (_wrr((-1, _data(DE))), "weight"),
        ({"wrr": {"items": [_data(DE)]}}, ".weight' parameter"),
        ({"wrr": {"items": [_data(DE) | {"weight": 1, "location": EUROPE}]}}, "location"),
        (_wrr((1, _data(DE) | _checked(DE))) | check, "rrdatas and healthCheckedTargets"),
        (_geo((EUROPE, _checked(DE))), ".healthCheck' parameter"),
        (_geo((EUROPE, _checked(DE))) | {"healthCheck": URL + "nothing"}, "healthCheck"),
        (_geo((EUROPE, _checked(DE))) | {"healthCheck": URL + "near"}, "healthCheck"),
        (_geo((EUROPE, _checked(DE))) | {"healthCheck": "web"}, "healthCheck"),
        (_geo(good) | check, "healthCheck"),
        (_geo((EUROPE, _checked())) | check, "externalEndpoints"),
        (_geo((EUROPE, _checked("2001:db8::1"))) | check, "externalEndpoints[0]"),
        (_geo((EUROPE, {"healthCheckedTargets": {"internalLoadBalancers": [{"ipAddress": DE}]}})), "internalLoadBalancers"),
        ({"primaryBackup": {"primaryTargets": {"externalEndpoints": [DE]}}} | check, "backupGeoTargets"),
        ({"primaryBackup": {"backupGeoTargets": _geo(good)["geo"]}} | check, "primaryTargets"),
        (_pair(_checked(DE), _geo(good), trickleTraffic=1.5) | check, "trickleTraffic"),
    ]:
        one = routed("p.example.org.", "A", policy)
        refused(lambda: change(service, [one]), 400, "required" if word in missing else "invalid", word)
    both = routed("p.example.org.", "A", _geo(good)) | _data(DE)
    refused(lambda: change(service, [both]), 400, "invalid", "rrdata")
    names = [
        routed("p.example.org.", "CNAME", _geo((EUROPE, _checked("a.example.org."))) | check),
        routed("p.example.org.", "NS", _geo((EUROPE, _data("ns.example.net.")))),
    ]
    for one in names:
        refused(lambda: change(service, [one]), 400, "invalid", "routingPolicy")
    two = routed("p.example.org.", "CNAME", _wrr((1, _data("a.example.org.", "b.example.org."))))
    refused(lambda: change(service, [two]), 400, "invalidRecordCount")
    many = routed("p.example.org.", "A", _wrr(*[(1, _data(DE))] * 101))
    refused(lambda: change(service, [many]), 403, "quotaExceeded", "items per routing policy")
    assert len(everything(service)) == 2


def signed_off():
    """Without DNSSEC, several addresses of an item are checked, and plain ones stand beside them."""
    assert api().managedZones().get(**IN).execute()["dnssecConfig"]["state"] == "off"
    _insert(api("compute"))
    check = {"healthCheck": URL + "web"}
    change(api(), [
        routed("two.example.org.", "A", _geo((EUROPE, _checked(DE, US))) | check),
        routed("both.example.org.", "A", _geo((EUROPE, _checked(DE) | _data(US))) | check),
    ])


def signed():
    """With it, one alone."""
    service, check = api(), {"healthCheck": URL + "web"}
    assert service.managedZones().get(**IN).execute()["dnssecConfig"]["state"] == "on"
    one = (EUROPE, _checked(DE))
    for policy in (
        _geo((EUROPE, _checked(DE, US))),
        _geo((EUROPE, _checked(DE) | _data(US))),
        _wrr((1, _checked(DE)), (1, _checked(US, JP))),
        _pair(_checked(DE, US), _geo(one)),
        _pair(_checked(US), _geo((EUROPE, _checked(DE, JP)))),
    ):
        add = lambda: change(service, [routed("s.example.org.", "A", policy | check)])
        refused(add, 400, "invalid", "DNSSEC")
    change(service, [
        routed("a.example.org.", "A", _geo(one, (ASIA, _data(JP, US))) | check),
        routed("b.example.org.", "A", _pair(_checked(US), _geo(one)) | check),
        routed("c.example.org.", "A", _wrr((1, _checked(DE)), (1, _checked(US))) | check),
        rrset("d.example.org.", "A", [DE, US, JP]),
    ])


def as_described():
    """Every set of the zone and every health check, held against the vendor's descriptions, and
    each check that a policy names is one that can be named."""
    compute = api("compute")
    checks = {one["selfLink"]: one for one in compute.healthChecks().list(project=PROJECT).execute()["items"]}
    named = 0
    for one in everything(api()).values():
        policy = one.get("routingPolicy", {})
        if "healthCheck" in policy:
            check = checks[policy["healthCheck"]]
            assert len(check["sourceRegions"]) == 3 and check["checkIntervalSec"] >= 30, check
            assert check["name"].startswith("meridian-") and "heritage=meridian" in check["description"]
            assert "rrdatas" not in json.dumps(policy), policy
            named += 1
    assert named, "nothing is checked"


def few_checks():
    """With room for two endpoints that are checked."""
    service, check = api(), {"healthCheck": URL + "web"}
    _insert(api("compute"))
    change(service, [routed("a.example.org.", "A", _geo((ASIA, _data(JP)), (EUROPE, _checked(DE, US))) | check)])
    one_more = [routed("b.example.org.", "A", _wrr((1, _checked(JP))) | check)]
    refused(lambda: change(service, one_more), 403, "quotaExceeded", "internet health checks")
    change(service, [routed("b.example.org.", "A", _wrr((1, _data(JP))))])


# --- What a resolver is told ---------------------------------------------------------------------


def _ask(name, rtype="A", subnet=None):
    host, port = os.environ["DOUBLE_DNS"].rsplit(":", 1)
    options = [dns.edns.ECSOption(subnet, 24)] if subnet else []
    query = dns.message.make_query(name, rtype, use_edns=0, options=options)
    return dns.query.udp(query, host, port=int(port), timeout=5)


def resolver():
    """Asks as a resolver would that passes its clients' networks on."""
    for subnet, ip in (("91.0.0.0", DE), ("12.0.0.0", US), ("126.0.0.0", JP)):
        reply = _ask("geo.example.org.", subnet=subnet)
        [answer] = reply.answer
        assert [str(one) for one in answer] == [ip] and answer.ttl == 300
        [option] = reply.options
        assert (option.srclen, option.scopelen) == (24, 24)
        alias, answer = _ask("name.example.org.", subnet=subnet).answer
        assert str(alias[0]) == "geo.example.org." and [str(one) for one in answer] == [ip]
        assert [str(one) for one in _ask("a.b.wild.example.org.", subnet=subnet).answer[0]] == [ip]
    [text] = _ask("text.example.org.", "TXT", "91.0.0.0").answer
    assert str(text[0]) == '"hallo"'
    nothing = _ask("geo.example.org.", "AAAA")
    assert nothing.rcode() == 0 and not nothing.answer and nothing.authority[0].rdtype == dns.rdatatype.SOA
    assert _ask("nowhere.example.org.").rcode() == 3
    change(api(), [
        rrset("child.example.org.", "NS", ["ns.example.net."]),
        rrset("below.child.example.org.", "A", [DE]),
        rrset("much.example.org.", "A", [f"10.0.0.{at}" for at in range(100)]),
    ])
    assert not _ask("below.child.example.org.").answer, "what is delegated is not answered from here"
    assert dns.flags.TC & _ask("much.example.org.").flags
    assert _ask("example.net.").rcode() == 5
    assert _ask(NAME, "NS").answer[0].ttl == 21600


if __name__ == "__main__":
    main({name: own for name, own in globals().items() if callable(own) and not name.startswith("_")})
