"""octoDNS as another hand: cloud_dns_octodns.py FOLDER plan|apply [NUMBER OF CHANGES THERE MUST BE].

Each run is a process of its own, which knows nothing but the zone file and what the double holds."""

import logging
import sys

import octodns_googlecloud
from google.cloud import dns
from octodns.provider.yaml import YamlProvider
from octodns.zone import Zone

from cloud_dns_double import KEY, NAME, PROJECT, URL


class _Client(dns.Client):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, client_options={"api_endpoint": URL}, **more)


def main(folder, verb, expected):
    logging.basicConfig(level=logging.WARNING)
    octodns_googlecloud.dns.Client = _Client
    provider = octodns_googlecloud.GoogleCloudProvider("double", project=PROJECT, credentials_file=KEY)
    provider.CHANGE_LOOP_WAIT = 0.1
    wanted = Zone(NAME, [])
    YamlProvider("files", folder, enforce_order=False).populate(wanted)
    plan = provider.plan(wanted)
    count = len(plan.changes) if plan else 0
    assert count == int(expected), f"{count} changes, not {expected}: {plan and plan.changes}"
    if verb == "apply":
        assert provider.apply(plan) == count
    print(f"octoDNS: {verb} of {count} changes")


if __name__ == "__main__":
    main(*sys.argv[1:])
