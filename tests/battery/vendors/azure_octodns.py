"""octoDNS as another hand: plans what a YAML file wants, applies it if told to, and prints how many
changes it saw: azure_octodns.py DIRECTORY [apply]."""

import functools
import os
import sys

import octodns_azure
from azure_double import CA, CLIENT, GROUP, SECRET, SUBSCRIPTION, TENANT, URL
from octodns.manager import Manager

os.environ["REQUESTS_CA_BUNDLE"] = CA
octodns_azure.ClientSecretCredential = functools.partial(
    octodns_azure.ClientSecretCredential, disable_instance_discovery=True
)
# The provider hands its own scope to one client only.
octodns_azure.TrafficManagerManagementClient = functools.partial(
    octodns_azure.TrafficManagerManagementClient, credential_scopes=[URL + "/.default"]
)
octodns_azure.AzureBaseProvider.__init__ = functools.partialmethod(
    octodns_azure.AzureBaseProvider.__init__, authority=URL, base_url=URL
)
directory = sys.argv[1]
config = os.path.join(directory, "config.yaml")
with open(config, "w") as file:
    file.write(
        f"""
providers:
  config: {{class: octodns.provider.yaml.YamlProvider, directory: {directory}, enforce_order: false, escaped_semicolons: false}}
  azure:
    class: octodns_azure.AzureProvider
    client_id: {CLIENT}
    key: {SECRET}
    directory_id: {TENANT}
    sub_id: {SUBSCRIPTION}
    resource_group: {GROUP}
    top: 3
zones:
  {os.environ["AZ_ZONE"]}.: {{sources: [config], targets: [azure]}}
"""
    )
manager = Manager(config)
changes = manager.sync(dry_run="apply" not in sys.argv, force=True)
print(changes)
