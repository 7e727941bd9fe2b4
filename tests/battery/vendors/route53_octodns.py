"""octoDNS against a Route 53: `route53_octodns.py URL plan|apply`, a process for each."""

import logging
import sys
import tempfile

from octodns.provider.yaml import YamlProvider
from octodns.zone import Zone
from octodns_route53 import Route53Provider

ZONE = """
'':
- {type: MX, ttl: 300, value: {preference: 10, exchange: mail.unit.tests.}}
- {type: CAA, ttl: 300, value: {flags: 0, tag: issue, value: ca.unit.tests}}
www: {type: A, ttl: 60, values: [1.2.3.4, 5.6.7.8]}
six: {type: AAAA, ttl: 60, value: '2a00::1'}
cname: {type: CNAME, ttl: 60, value: www.unit.tests.}
'*.wild': {type: A, ttl: 60, value: 9.9.9.9}
txt: {type: TXT, ttl: 60, values: ['two words', 'a\\; b']}
_http._tcp: {type: SRV, ttl: 60, value: {priority: 1, weight: 2, port: 80, target: www.unit.tests.}}
geo:
  type: A
  ttl: 60
  value: 9.9.9.9
  dynamic:
    pools:
      eu: {fallback: us, values: [{value: 1.2.3.4}]}
      us: {values: [{value: 5.6.7.8, weight: 3}, {value: 5.6.7.9, weight: 1, status: down}]}
    rules:
    - {geos: [EU], pool: eu}
    - {pool: us}
"""

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
with tempfile.TemporaryDirectory() as directory:
    with open(f"{directory}/unit.tests.yaml", "w") as file:
        file.write(ZONE)
    source = YamlProvider("source", directory, enforce_order=False)
    target = Route53Provider("target", client_max_attempts=1)
    zone = Zone("unit.tests.", [])
    source.populate(zone)
    plan = target.plan(zone, processors=[])
    print("changes:", len(plan.changes) if plan else 0)
    for change in plan.changes if plan else []:
        print(" ", change)
    if sys.argv[2] == "apply" and plan:
        target.apply(plan)
