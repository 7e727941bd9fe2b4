"""Holds what was sent and answered against the vendor's models: a body must come out of them as it
went in, for what the models do not know, and what is misspelt, does not come out at all. Reads the
double's record of calls, one JSON object per line: azure_schema.py CALLS [answers]. `answers` leaves
out what was sent: octoDNS sends a whole profile where an id belongs, and the vendor lets it pass."""

import json
import sys

from azure.mgmt.dns.v2018_05_01 import models as dns
from azure.mgmt.trafficmanager import models as tm

ANSWERS = {
    "Zones_List": dns.ZoneListResult,
    "Zones_ListByResourceGroup": dns.ZoneListResult,
    "Zones_Get": dns.Zone,
    "Zones_CreateOrUpdate": dns.Zone,
    "Zones_Update": dns.Zone,
    "RecordSets_Get": dns.RecordSet,
    "RecordSets_CreateOrUpdate": dns.RecordSet,
    "RecordSets_Update": dns.RecordSet,
    "RecordSets_ListByType": dns.RecordSetListResult,
    "RecordSets_ListByDnsZone": dns.RecordSetListResult,
    "RecordSets_ListAllByDnsZone": dns.RecordSetListResult,
    "Profiles_ListByResourceGroup": tm.ProfileListResult,
    "Profiles_ListBySubscription": tm.ProfileListResult,
    "Profiles_Get": tm.Profile,
    "Profiles_CreateOrUpdate": tm.Profile,
    "Profiles_Update": tm.Profile,
    "Profiles_Delete": tm.DeleteOperationResult,
    "Profiles_CheckTrafficManagerRelativeDnsNameAvailability": tm.TrafficManagerNameAvailability,
    "Profiles_CheckTrafficManagerNameAvailabilityV2": tm.TrafficManagerNameAvailability,
    "Endpoints_Get": tm.Endpoint,
    "Endpoints_CreateOrUpdate": tm.Endpoint,
    "Endpoints_Update": tm.Endpoint,
    "Endpoints_Delete": tm.DeleteOperationResult,
    "GeographicHierarchies_GetDefault": tm.TrafficManagerGeographicHierarchy,
}
NAME = tm.CheckTrafficManagerRelativeDnsNameAvailabilityParameters
SENT = {
    "Zones_CreateOrUpdate": dns.Zone,
    "Zones_Update": dns.ZoneUpdate,
    "RecordSets_CreateOrUpdate": dns.RecordSet,
    "RecordSets_Update": dns.RecordSet,
    "Profiles_CreateOrUpdate": tm.Profile,
    "Profiles_Update": tm.Profile,
    "Profiles_CheckTrafficManagerRelativeDnsNameAvailability": NAME,
    "Profiles_CheckTrafficManagerNameAvailabilityV2": NAME,
    "Endpoints_CreateOrUpdate": tm.Endpoint,
    "Endpoints_Update": tm.Endpoint,
}


def through(model, body):
    return model.deserialize(body).serialize(keep_readonly=True)


def compare(call, what, model, body):
    got = through(model, body)
    if got == body:
        return []
    return [f"{call['operation']}: {what} as {model.__name__}:\n  {json.dumps(body)}\n  {json.dumps(got)}"]


def wrong(call, answers_only):
    found = []
    operation, status = call["operation"], call["status"]
    sent, answered = call["sent"], call["answered"]
    if status >= 400:
        body = answered.get("error", answered) if isinstance(answered, dict) else {}
        if isinstance(body, dict) and not {"code", "message"} <= body.keys():
            found.append(f"{operation}: {status} without code and message: {answered}")
        return found
    if sent is not None and operation in SENT and not answers_only:
        found += compare(call, "sent", SENT[operation], sent)
    if operation in ANSWERS and answered is not None:
        found += compare(call, "answered", ANSWERS[operation], answered)
    return found


if __name__ == "__main__":
    lines = [json.loads(line) for line in open(sys.argv[1])]
    found = [text for call in lines for text in wrong(call, "answers" in sys.argv)]
    print("\n".join(found))
    seen = {call["operation"] for call in lines if call["status"] < 400}
    print(f"{len(lines)} calls, {len(seen & ANSWERS.keys())} operations held against the models")
    sys.exit(bool(found))
