"""octoDNS as another hand: plans what a YAML file wants, applies it if told to, and prints how many
changes it saw: azure_octodns.py DIRECTORY [apply]."""

import functools
import os
import sys

import octodns_azure
from azure_double import CA, CLIENT, GROUP, SECRET, SUBSCRIPTION, TENANT, URL, ZONE
from octodns.provider.yaml import YamlProvider
from octodns.zone import Zone

os.environ["REQUESTS_CA_BUNDLE"] = CA
octodns_azure.ClientSecretCredential = functools.partial(
    octodns_azure.ClientSecretCredential, disable_instance_discovery=True
)
# The provider hands its own scope to one client only.
octodns_azure.TrafficManagerManagementClient = functools.partial(
    octodns_azure.TrafficManagerManagementClient, credential_scopes=[URL + "/.default"]
)
desired = Zone(f"{ZONE}.", [])
wanted = YamlProvider("config", sys.argv[1], enforce_order=False, escaped_semicolons=False)
wanted.populate(desired)
azure = octodns_azure.AzureProvider(
    "azure",
    sub_id=SUBSCRIPTION,
    resource_group=GROUP,
    directory_id=TENANT,
    client_id=CLIENT,
    key=SECRET,
    authority=URL,
    base_url=URL,
    top=3,
)
plan = azure.plan(desired)
for change in plan.changes if plan else []:
    print(change, file=sys.stderr)
print(len(plan.changes) if plan else 0)
if plan and "apply" in sys.argv:
    azure.apply(plan)
