"""The vendor's clients, pointed at the double by AZ_* in the environment."""

import json
import os

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.dns import DnsManagementClient
from azure.mgmt.trafficmanager import TrafficManagerManagementClient

URL = os.environ["AZ_URL"]
HTTP = os.environ["AZ_HTTP"]
CA = os.environ["AZ_CA"]
TENANT = os.environ["AZ_TENANT"]
CLIENT = os.environ["AZ_CLIENT"]
SECRET = os.environ["AZ_SECRET"]
SUBSCRIPTION = os.environ["AZ_SUBSCRIPTION"]
GROUP = os.environ["AZ_GROUP"]
ZONE = os.environ.get("AZ_ZONE", "example.org")
SCOPE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network"


def credential(secret=SECRET, tenant=TENANT, client=CLIENT):
    return ClientSecretCredential(
        tenant,
        client,
        secret,
        authority=URL,
        disable_instance_discovery=True,
        connection_verify=CA,
    )


def arguments(**more):
    return {
        "credential": credential(),
        "subscription_id": SUBSCRIPTION,
        "base_url": URL,
        "credential_scopes": [URL + "/.default"],
        "connection_verify": CA,
        **more,
    }


def dns_client(**more):
    return DnsManagementClient(**arguments(**more))


def tm_client(**more):
    return TrafficManagerManagementClient(**arguments(**more))


class Refused:
    """Holds that a call is refused with this status and code, as the client's own class reads it."""

    def __init__(self, status, code, kind=HttpResponseError, says=""):
        self.status, self.code, self.kind, self.says = status, code, kind, says

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        wanted = f"{self.status} {self.code}"
        assert error is not None, f"not refused, which should have been {wanted}"
        if not isinstance(error, self.kind):
            return False
        got = f"{error.status_code} {error.error.code if error.error else None}"
        assert got == wanted, f"{got} instead of {wanted}: {error}"
        assert self.says in error.message, error.message
        return True


def profile_id(name):
    return f"{SCOPE}/trafficManagerProfiles/{name}"


def dumped(value):
    return json.dumps(value, indent=1, sort_keys=True)
