"""Writes peers.py's fleet as manifests for Meridian, and a country database for the others.

    fleet.py DIRECTORY SERVICES [steered] [signed] [checked=PORT] [clusters=N]

`steered` gives each service a TrafficPolicy of its own, with the map that the others have; `checked`
one that also checks each address, on loopback, at that port. More than three clusters stand in
regions beside those that peers.py asks for.
"""
import os, sys
from mmdb_writer import MMDBWriter
from netaddr import IPSet

words = dict((word.split("=") + [""])[:2] for word in sys.argv[3:])
place, services, many = sys.argv[1], int(sys.argv[2]), int(words.get("clusters", 3))
port = words.get("checked")
CLUSTERS = [("aws", "us-west-2", "us-west-2a", "192.0.2."),
            ("azure", "eu-west-2", "eu-west-2a", "198.51.100."),
            ("gke", "asia-east1", "asia-east1-a", "203.0.113.")]
CLUSTERS += [(f"c{at}", f"region-{at}", f"region-{at}-a", f"11.{at}.0.") for at in range(3, many)]
HEAD = "apiVersion: meridian.dev/v1alpha1\n"


def address(at, net, service):
    """Where a service is in a cluster; with checks, a loopback address of its own."""
    if port:
        return f"127.{64 + at}.{service // 250}.{1 + service % 250}"
    return f"{net}{1 + service % 250}"


os.makedirs(f"{place}/config")
with open(f"{place}/config/fed.yaml", "w") as f:
    signed = ", dnssec: {}" if "signed" in words else ""
    loopback = ", allowTargets: [127.0.0.0/8]" if port else ""
    f.write(f"{HEAD}kind: Federation\nmetadata: {{name: magic}}\n"
            f"spec: {{zone: fed.bench{signed}{loopback}}}\n")
    for name, *_ in CLUSTERS:
        f.write(f"---\n{HEAD}kind: MemberCluster\nmetadata: {{name: {name}}}\n"
                f"spec: {{access: {{directory: {name}}}}}\n")
for at, (name, region, zone, net) in enumerate(CLUSTERS):
    os.makedirs(f"{place}/config/{name}")
    with open(f"{place}/config/{name}/all.yaml", "w") as f:
        f.write(f"kind: Node\nmetadata: {{name: node, labels: {{topology.kubernetes.io/region: {region}, "
                f"topology.kubernetes.io/zone: {zone}}}}}\n")
        for i in range(services):
            ports = f", ports: [{{port: {port}}}]" if port else ""
            f.write(f"---\nkind: Service\nmetadata: {{name: svc{i}, namespace: default}}\n"
                    f"spec: {{type: LoadBalancer{ports}}}\n"
                    f"status: {{loadBalancer: {{ingress: [{{ip: {address(at, net, i)}}}]}}}}\n")


def order(*first):
    """These clusters, and then all others."""
    return list(first) + [name for name, *_ in CLUSTERS if name not in first]


if "steered" in words:
    checks = "\n  health: {protocol: tcp, interval: 1s, timeout: 500ms, fall: 1, rise: 1}" if port else ""
    rows = {"EU": order("azure", "aws", "gke"), "NA": order("aws", "azure", "gke"),
            "AS": order("gke", "aws", "azure")}
    rows = "".join(f"        - {{continents: [{code}], clusters: [{', '.join(own)}]}}\n"
                   for code, own in rows.items())
    with open(f"{place}/config/policies.yaml", "w") as f:
        for i in range(services):
            f.write(f"---\n{HEAD}kind: TrafficPolicy\nmetadata: {{name: svc{i}, namespace: default}}\n"
                    f"spec:\n  targets: [{{kind: Service, name: svc{i}}}]\n  order:\n    geo:\n      map:\n"
                    f"{rows}      default: [{', '.join(order('aws', 'azure', 'gke'))}]{checks}\n")

writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-Country")
for continent, country, nets in [("NA", "US", ["3.0.0.0/8", "12.0.0.0/8"]), ("EU", "DE", ["91.0.0.0/8", "10.0.0.0/8"]),
                                 ("AS", "JP", ["133.0.0.0/8", "126.0.0.0/8"])]:
    writer.insert_network(IPSet(nets), {"continent": {"code": continent}, "country": {"iso_code": country}})
writer.to_db_file(f"{place}/country.mmdb")
