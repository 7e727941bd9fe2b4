"""Writes peers.py's fleet as manifests for Meridian, and a country database for the others.

    fleet.py DIRECTORY SERVICES [steered]

`steered` gives each service a TrafficPolicy of its own, with the map that the others have.
"""
import os, sys
from mmdb_writer import MMDBWriter
from netaddr import IPSet

CLUSTERS = [("aws", "us-west-2", "us-west-2a", "192.0.2."),
            ("azure", "eu-west-2", "eu-west-2a", "198.51.100."),
            ("gke", "asia-east1", "asia-east1-a", "203.0.113.")]
HEAD = "apiVersion: meridian.dev/v1alpha1\n"

place, services = sys.argv[1], int(sys.argv[2])
os.makedirs(f"{place}/config")
with open(f"{place}/config/fed.yaml", "w") as f:
    f.write(f"{HEAD}kind: Federation\nmetadata: {{name: magic}}\nspec: {{zone: fed.bench}}\n")
    for name, *_ in CLUSTERS:
        f.write(f"---\n{HEAD}kind: MemberCluster\nmetadata: {{name: {name}}}\n"
                f"spec: {{access: {{directory: {name}}}}}\n")
for name, region, zone, net in CLUSTERS:
    os.makedirs(f"{place}/config/{name}")
    with open(f"{place}/config/{name}/all.yaml", "w") as f:
        f.write(f"kind: Node\nmetadata: {{name: node, labels: {{topology.kubernetes.io/region: {region}, "
                f"topology.kubernetes.io/zone: {zone}}}}}\n")
        for i in range(services):
            f.write(f"---\nkind: Service\nmetadata: {{name: svc{i}, namespace: default}}\n"
                    f"spec: {{type: LoadBalancer}}\nstatus: {{loadBalancer: {{ingress: [{{ip: {net}{1 + i % 250}}}]}}}}\n")

if sys.argv[3:] == ["steered"]:
    with open(f"{place}/config/policies.yaml", "w") as f:
        for i in range(services):
            f.write(f"---\n{HEAD}kind: TrafficPolicy\nmetadata: {{name: svc{i}, namespace: default}}\n"
                    f"spec:\n  targets: [{{kind: Service, name: svc{i}}}]\n  order:\n    geo:\n      map:\n"
                    "        - {continents: [EU], clusters: [azure, aws, gke]}\n"
                    "        - {continents: [NA], clusters: [aws, azure, gke]}\n"
                    "        - {continents: [AS], clusters: [gke, aws, azure]}\n"
                    "      default: [aws, azure, gke]\n")

writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-Country")
for continent, country, nets in [("NA", "US", ["3.0.0.0/8", "12.0.0.0/8"]), ("EU", "DE", ["91.0.0.0/8", "10.0.0.0/8"]),
                                 ("AS", "JP", ["133.0.0.0/8", "126.0.0.0/8"])]:
    writer.insert_network(IPSet(nets), {"continent": {"code": continent}, "country": {"iso_code": country}})
writer.to_db_file(f"{place}/country.mmdb")
