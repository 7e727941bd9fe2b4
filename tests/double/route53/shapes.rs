//! The shapes of requests and answers: what the vendor's description says about each member.

use super::xml::{
    Member,
    Shape::{self, Enum, Flag, List, Number, Pattern, Struct, Text},
};

const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: true }
}

const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: false }
}

const MANY: usize = usize::MAX;
const ANY: Shape = Text(0, MANY);
const COUNT: Shape = Number(0, i64::MAX);
const VERSION: Shape = Number(1, i64::MAX);
const RESOURCE: Shape = Text(0, 32);
const DOMAIN: Shape = Text(0, 1024);
const COMMENT: Shape = Text(0, 256);
const CHECK_ID: Shape = Text(0, 64);
const UUID: Shape = Pattern(36, is_uuid, "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}");

pub(crate) const RR_TYPES: Shape = Enum(&[
    "SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS",
    "TLSA", "SSHFP", "SVCB", "HTTPS",
]);

const REGIONS: Shape = Enum(&[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-central-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "eu-north-1",
    "sa-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "ap-east-1",
    "me-south-1",
    "me-central-1",
    "ap-south-1",
    "ap-south-2",
    "af-south-1",
    "eu-south-1",
    "eu-south-2",
    "ap-southeast-4",
    "il-central-1",
    "ca-west-1",
    "ap-southeast-5",
    "mx-central-1",
    "ap-southeast-7",
    "us-gov-east-1",
    "us-gov-west-1",
    "ap-east-2",
    "ap-southeast-6",
    "eusc-de-east-1",
]);

// === Record sets and changes ===

const GEO: Shape = Struct(&[
    may("ContinentCode", &Text(2, 2)),
    may("CountryCode", &Text(1, 2)),
    may("SubdivisionCode", &Text(1, 3)),
]);

const ALIAS: Shape = Struct(&[
    must("HostedZoneId", &RESOURCE),
    must("DNSName", &DOMAIN),
    must("EvaluateTargetHealth", &Flag),
]);

const CIDR: Shape = Struct(&[
    must("CollectionId", &UUID),
    must("LocationName", &Pattern(16, is_location_or_default, "[0-9A-Za-z_\\-\\*]+")),
]);

const PROXIMITY: Shape = Struct(&[
    may("AWSRegion", &Text(1, 64)),
    may("LocalZoneGroup", &Text(1, 64)),
    may(
        "Coordinates",
        &Struct(&[
            must("Latitude", &Pattern(6, is_latitude, "[-+]?[0-9]{1,2}(\\.[0-9]{0,2})?")),
            must("Longitude", &Pattern(7, is_longitude, "[-+]?[0-9]{1,3}(\\.[0-9]{0,2})?")),
        ]),
    ),
    may("Bias", &Number(-99, 99)),
]);

const SET: Shape = Struct(&[
    must("Name", &DOMAIN),
    must("Type", &RR_TYPES),
    may("SetIdentifier", &Text(1, 128)),
    may("Weight", &Number(0, 255)),
    may("Region", &REGIONS),
    may("GeoLocation", &GEO),
    may("Failover", &Enum(&["PRIMARY", "SECONDARY"])),
    may("MultiValueAnswer", &Flag),
    may("TTL", &Number(0, 2_147_483_647)),
    may(
        "ResourceRecords",
        &List("ResourceRecord", &Struct(&[must("Value", &Text(0, 4000))]), 1, MANY),
    ),
    may("AliasTarget", &ALIAS),
    may("HealthCheckId", &CHECK_ID),
    may("TrafficPolicyInstanceId", &Text(1, 36)),
    may("CidrRoutingConfig", &CIDR),
    may("GeoProximityLocation", &PROXIMITY),
]);

const CHANGE: Shape = Struct(&[
    must("Action", &Enum(&["CREATE", "DELETE", "UPSERT"])),
    must("ResourceRecordSet", &SET),
]);

pub(crate) const CHANGE_SETS: Shape = Struct(&[must(
    "ChangeBatch",
    &Struct(&[may("Comment", &COMMENT), must("Changes", &List("Change", &CHANGE, 1, MANY))]),
)]);

const CHANGE_INFO: Shape = Struct(&[
    must("Id", &RESOURCE),
    must("Status", &Enum(&["PENDING", "INSYNC"])),
    must("SubmittedAt", &ANY),
    may("Comment", &COMMENT),
]);

pub(crate) const CHANGED: Shape = Struct(&[must("ChangeInfo", &CHANGE_INFO)]);

pub(crate) const SETS: Shape = Struct(&[
    must("ResourceRecordSets", &List("ResourceRecordSet", &SET, 0, MANY)),
    must("IsTruncated", &Flag),
    may("NextRecordName", &DOMAIN),
    may("NextRecordType", &RR_TYPES),
    may("NextRecordIdentifier", &Text(1, 128)),
    must("MaxItems", &ANY),
]);

// === Zones ===

const ZONE_CONFIG: Shape = Struct(&[may("Comment", &COMMENT), may("PrivateZone", &Flag)]);

const ZONE: Shape = Struct(&[
    must("Id", &RESOURCE),
    must("Name", &DOMAIN),
    must("CallerReference", &Text(1, 128)),
    may("Config", &ZONE_CONFIG),
    may("ResourceRecordSetCount", &COUNT),
]);

const DELEGATION: Shape = Struct(&[must("NameServers", &List("NameServer", &DOMAIN, 1, MANY))]);

pub(crate) const CREATE_ZONE: Shape = Struct(&[
    must("Name", &DOMAIN),
    may("VPC", &Struct(&[may("VPCRegion", &Text(1, 64)), may("VPCId", &Text(0, 1024))])),
    must("CallerReference", &Text(1, 128)),
    may("HostedZoneConfig", &ZONE_CONFIG),
    may("DelegationSetId", &RESOURCE),
]);

pub(crate) const ZONE_CREATED: Shape = Struct(&[
    must("HostedZone", &ZONE),
    must("ChangeInfo", &CHANGE_INFO),
    must("DelegationSet", &DELEGATION),
]);

pub(crate) const ONE_ZONE: Shape =
    Struct(&[must("HostedZone", &ZONE), may("DelegationSet", &DELEGATION)]);

pub(crate) const ZONES: Shape = Struct(&[
    must("HostedZones", &List("HostedZone", &ZONE, 0, MANY)),
    must("Marker", &Text(0, 64)),
    must("IsTruncated", &Flag),
    may("NextMarker", &Text(0, 64)),
    must("MaxItems", &ANY),
]);

pub(crate) const ZONES_BY_NAME: Shape = Struct(&[
    must("HostedZones", &List("HostedZone", &ZONE, 0, MANY)),
    may("DNSName", &DOMAIN),
    may("HostedZoneId", &RESOURCE),
    must("IsTruncated", &Flag),
    may("NextDNSName", &DOMAIN),
    may("NextHostedZoneId", &RESOURCE),
    must("MaxItems", &ANY),
]);

pub(crate) const LIMIT: Shape = Struct(&[
    must("Limit", &Struct(&[must("Type", &ANY), must("Value", &VERSION)])),
    must("Count", &COUNT),
]);

pub(crate) const ZONE_COUNT: Shape = Struct(&[must("HostedZoneCount", &COUNT)]);

// === Health checks ===

const CHECK_REGIONS: Shape = List(
    "Region",
    &Enum(&[
        "us-east-1",
        "us-west-1",
        "us-west-2",
        "eu-west-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-northeast-1",
        "sa-east-1",
    ]),
    3,
    64,
);
const CHILDREN: Shape = List("ChildHealthCheck", &CHECK_ID, 0, 256);
const ADDRESS: Shape = Pattern(45, is_address, "an IPv4 or IPv6 address");
const NO_DATA: Shape = Enum(&["Healthy", "Unhealthy", "LastKnownStatus"]);
const ALARM: Shape = Struct(&[must("Region", &Text(1, 64)), must("Name", &Text(1, 256))]);

pub(crate) const CHECK_CONFIG: Shape = Struct(&[
    may("IPAddress", &ADDRESS),
    may("Port", &Number(1, 65_535)),
    must(
        "Type",
        &Enum(&[
            "HTTP",
            "HTTPS",
            "HTTP_STR_MATCH",
            "HTTPS_STR_MATCH",
            "TCP",
            "CALCULATED",
            "CLOUDWATCH_METRIC",
            "RECOVERY_CONTROL",
        ]),
    ),
    may("ResourcePath", &Text(0, 255)),
    may("FullyQualifiedDomainName", &Text(0, 255)),
    may("SearchString", &Text(0, 255)),
    may("RequestInterval", &Number(10, 30)),
    may("FailureThreshold", &Number(1, 10)),
    may("MeasureLatency", &Flag),
    may("Inverted", &Flag),
    may("Disabled", &Flag),
    may("HealthThreshold", &Number(0, 256)),
    may("ChildHealthChecks", &CHILDREN),
    may("EnableSNI", &Flag),
    may("Regions", &CHECK_REGIONS),
    may("AlarmIdentifier", &ALARM),
    may("InsufficientDataHealthStatus", &NO_DATA),
    may("RoutingControlArn", &Text(1, 255)),
]);

pub(crate) const CREATE_CHECK: Shape =
    Struct(&[must("CallerReference", &Text(1, 64)), must("HealthCheckConfig", &CHECK_CONFIG)]);

pub(crate) const UPDATE_CHECK: Shape = Struct(&[
    may("HealthCheckVersion", &VERSION),
    may("IPAddress", &ADDRESS),
    may("Port", &Number(1, 65_535)),
    may("ResourcePath", &Text(0, 255)),
    may("FullyQualifiedDomainName", &Text(0, 255)),
    may("SearchString", &Text(0, 255)),
    may("FailureThreshold", &Number(1, 10)),
    may("Inverted", &Flag),
    may("Disabled", &Flag),
    may("HealthThreshold", &Number(0, 256)),
    may("ChildHealthChecks", &CHILDREN),
    may("EnableSNI", &Flag),
    may("Regions", &CHECK_REGIONS),
    may("AlarmIdentifier", &ALARM),
    may("InsufficientDataHealthStatus", &NO_DATA),
    may("ResetElements", &List("ResettableElementName", &RESETTABLE, 0, 64)),
]);

const RESETTABLE: Shape =
    Enum(&["FullyQualifiedDomainName", "Regions", "ResourcePath", "ChildHealthChecks"]);

const CHECK: Shape = Struct(&[
    must("Id", &CHECK_ID),
    must("CallerReference", &Text(1, 64)),
    must("HealthCheckConfig", &CHECK_CONFIG),
    must("HealthCheckVersion", &VERSION),
]);

pub(crate) const ONE_CHECK: Shape = Struct(&[must("HealthCheck", &CHECK)]);

pub(crate) const CHECKS: Shape = Struct(&[
    must("HealthChecks", &List("HealthCheck", &CHECK, 0, MANY)),
    must("Marker", &Text(0, 64)),
    must("IsTruncated", &Flag),
    may("NextMarker", &Text(0, 64)),
    must("MaxItems", &ANY),
]);

pub(crate) const CHECK_COUNT: Shape = Struct(&[must("HealthCheckCount", &COUNT)]);

pub(crate) const CHECK_STATUS: Shape = Struct(&[must(
    "HealthCheckObservations",
    &List(
        "HealthCheckObservation",
        &Struct(&[
            may("Region", &Text(1, 64)),
            may("IPAddress", &ADDRESS),
            may("StatusReport", &Struct(&[may("Status", &ANY), may("CheckedTime", &ANY)])),
        ]),
        0,
        MANY,
    ),
)]);

// === Tags and CIDR collections ===

const TAG_LIST: Shape =
    List("Tag", &Struct(&[may("Key", &Text(0, 128)), may("Value", &Text(0, 256))]), 0, 10);

pub(crate) const CHANGE_TAGS: Shape =
    Struct(&[may("AddTags", &TAG_LIST), may("RemoveTagKeys", &List("Key", &Text(0, 128), 1, 10))]);

pub(crate) const TAGS: Shape = Struct(&[must(
    "ResourceTagSet",
    &Struct(&[may("ResourceType", &ANY), may("ResourceId", &CHECK_ID), may("Tags", &TAG_LIST)]),
)]);

const COLLECTION: Shape = Struct(&[
    may("Arn", &Text(20, 2048)),
    may("Id", &UUID),
    may("Name", &LOCATION),
    may("Version", &VERSION),
]);
const LOCATION: Shape = Pattern(64, is_location, "[0-9A-Za-z_\\-]+");

pub(crate) const CREATE_COLLECTION: Shape =
    Struct(&[must("Name", &LOCATION), must("CallerReference", &Text(1, 64))]);
pub(crate) const COLLECTION_CREATED: Shape = Struct(&[may("Collection", &COLLECTION)]);
pub(crate) const COLLECTIONS: Shape = Struct(&[
    may("NextToken", &ANY),
    may("CidrCollections", &List("member", &COLLECTION, 0, MANY)),
]);
pub(crate) const CHANGE_COLLECTION: Shape = Struct(&[
    may("CollectionVersion", &VERSION),
    must(
        "Changes",
        &List(
            "member",
            &Struct(&[
                must("LocationName", &LOCATION),
                must("Action", &Enum(&["PUT", "DELETE_IF_EXISTS"])),
                must("CidrList", &List("Cidr", &Text(1, 50), 1, 1000)),
            ]),
            1,
            1000,
        ),
    ),
]);
pub(crate) const COLLECTION_CHANGED: Shape = Struct(&[must("Id", &ANY)]);
pub(crate) const BLOCKS: Shape = Struct(&[
    may("NextToken", &ANY),
    may(
        "CidrBlocks",
        &List(
            "member",
            &Struct(&[may("CidrBlock", &Text(1, 50)), may("LocationName", &LOCATION)]),
            0,
            MANY,
        ),
    ),
]);

pub(crate) const NOTHING: Shape = Struct(&[]);

// === Patterns ===

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

fn is_location(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_location_or_default(text: &str) -> bool {
    is_location(&text.replace('*', "-"))
}

fn is_latitude(text: &str) -> bool {
    is_degrees(text, 2)
}

fn is_longitude(text: &str) -> bool {
    is_degrees(text, 3)
}

fn is_degrees(text: &str, digits: usize) -> bool {
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (1..=digits).contains(&whole.len()) && rest.len() <= 2 && numeric(whole) && numeric(rest)
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}
