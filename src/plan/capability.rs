//! What each provider can say and take, as data (providers.md §1–§4); the renderer and the writer
//! read it, nobody asks which provider it is.

use crate::records::RecordType;
use serde::Serialize;

/// One provider's words and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// As configuration names it.
    pub name: &'static str,
    /// Which routing it has of its own.
    pub routing: Routing,
    /// What it checks itself, where it is asked to.
    pub checks: Checking,
    /// Whether a batch is carried out whole or not at all.
    pub atomic: bool,
    /// Types that it takes; all when empty.
    pub types: &'static [RecordType],
    /// Values that one record set may hold.
    pub values: usize,
    /// The least TTL, in seconds.
    pub least_ttl: u32,
    /// What one batch may hold.
    pub batch: BatchLimits,
    /// How fast it may be called.
    pub pace: Pace,
}

/// See [`Capabilities::routing`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Routing {
    /// None: all clients get the same.
    None,
    /// Sets beside each other, told apart by SetIdentifier.
    Route53,
    /// One policy inside a set.
    CloudDns,
    /// Profiles behind alias sets.
    TrafficManager,
}

/// See [`Capabilities::checks`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Checking {
    /// Nothing.
    None,
    /// Each endpoint.
    Endpoints,
    /// Each address of a policy, all of them by one check.
    Policies {
        /// Whether the zone is signed (DNSSEC): then one address an item can be checked.
        signed: bool,
    },
    /// Nothing by itself: a switch for each cluster is turned by us, and takes the cluster out of
    /// all names at once.
    Clusters,
}

/// What one batch may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchLimits {
    /// Record sets deleted and created, each counted.
    pub sets: usize,
    /// Records in them.
    pub records: usize,
    /// Characters of their values.
    pub characters: usize,
}

/// Token buckets: what may be spent at once, and what comes back a second. Providers count per
/// account, which others use too, so a share of theirs is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Calls.
    pub calls: Bucket,
    /// Changes, a set deleted or created each.
    pub changes: Bucket,
}

/// See [`Pace`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// At once.
    pub burst: f64,
    /// Each second.
    pub per_second: f64,
}

impl Bucket {
    /// A limit that nobody meets.
    pub const ENDLESS: Self = Self { burst: 1e12, per_second: 1e12 };
}

impl Capabilities {
    /// A zone in memory, for tests and trials: takes everything.
    pub const MEMORY: Self = Self {
        name: "memory",
        routing: Routing::None,
        checks: Checking::None,
        atomic: true,
        types: &[],
        values: usize::MAX,
        least_ttl: 0,
        batch: BatchLimits { sets: 1_000, records: 1_000, characters: 32_000 },
        pace: Pace { calls: Bucket::ENDLESS, changes: Bucket::ENDLESS },
    };

    /// A server that takes dynamic updates (RFC 2136). A message holds 65,535 octets (RFC 1035
    /// §4.2.2); the prerequisites repeat what is deleted, and each record carries its name. What is
    /// too long all the same is halved, as a batch that is refused.
    pub const RFC2136: Self = Self {
        name: "rfc2136",
        routing: Routing::None,
        checks: Checking::None,
        atomic: true,
        types: &[],
        values: 1_000,
        least_ttl: 0,
        batch: BatchLimits { sets: 100, records: 300, characters: 20_000 },
        pace: Pace { calls: Bucket { burst: 100.0, per_second: 100.0 }, changes: Bucket::ENDLESS },
    };

    /// Amazon Route 53: 1,000 records and 32,000 characters a batch; 50 calls at once and 10 a
    /// second, 1,500 changes at once and 100 a second (providers.md §1.2, §1.3), of which half is
    /// taken.
    pub const ROUTE53: Self = Self {
        name: "aws-route53",
        routing: Routing::Route53,
        checks: Checking::None,
        atomic: true,
        types: &ROUTE53_TYPES,
        values: 400,
        least_ttl: 0,
        batch: BatchLimits { sets: 1_000, records: 1_000, characters: 32_000 },
        pace: Pace {
            calls: Bucket { burst: 25.0, per_second: 5.0 },
            changes: Bucket { burst: 1_000.0, per_second: 50.0 },
        },
    };

    /// The same with health checks of its own. Of these 50 may be made at once and one each two
    /// seconds after that (§1.3), so that batches are small: what waits for checks is little.
    pub const ROUTE53_CHECKING: Self = Self {
        checks: Checking::Endpoints,
        batch: BatchLimits { sets: 100, records: 1_000, characters: 32_000 },
        ..Self::ROUTE53
    };

    /// The same with a switch for each cluster: a health check that all its sets name.
    pub const ROUTE53_SWITCHING: Self = Self { checks: Checking::Clusters, ..Self::ROUTE53 };

    /// Google Cloud DNS: 1,000 additions and as many deletions a change, 100 records a set
    /// (providers.md §2; calls a minute are not published, so five a second are taken).
    pub const CLOUD_DNS: Self = Self {
        name: "google-clouddns",
        routing: Routing::CloudDns,
        checks: Checking::None,
        atomic: true,
        types: &CLOUD_DNS_TYPES,
        values: 100,
        least_ttl: 0,
        batch: BatchLimits { sets: 1_000, records: 1_000, characters: 90_000 },
        pace: Pace { calls: Bucket { burst: 20.0, per_second: 5.0 }, changes: Bucket::ENDLESS },
    };

    /// The same with health checks of its own: its policies' addresses are checked from three
    /// regions. A check takes some seconds to be made, so that batches are small.
    pub const CLOUD_DNS_CHECKING: Self = Self {
        checks: Checking::Policies { signed: false },
        batch: BatchLimits { sets: 100, records: 1_000, characters: 90_000 },
        ..Self::CLOUD_DNS
    };

    /// Azure DNS: 20 records a set, 200 writes a minute and zone, a call for each set
    /// (providers.md §3.2).
    pub const AZURE: Self = Self {
        name: "azure-azuredns",
        routing: Routing::TrafficManager,
        checks: Checking::None,
        atomic: false,
        types: &AZURE_TYPES,
        values: 20,
        least_ttl: 1,
        batch: BatchLimits { sets: 40, records: 400, characters: 100_000 },
        pace: Pace {
            calls: Bucket { burst: 100.0, per_second: 5.0 },
            changes: Bucket { burst: 150.0, per_second: 3.0 },
        },
    };

    /// Whether it takes that type.
    #[must_use]
    pub fn takes(&self, rtype: RecordType) -> bool {
        self.types.is_empty() || self.types.contains(&rtype)
    }
}

const PTR: RecordType = RecordType(12);
const NAPTR: RecordType = RecordType(35);
const SSHFP: RecordType = RecordType(44);
const TLSA: RecordType = RecordType(52);
const CAA: RecordType = RecordType(257);

const ROUTE53_TYPES: [RecordType; 15] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::TXT,
    RecordType::NS,
    RecordType::SRV,
    RecordType::DS,
    RecordType::SVCB,
    RecordType::HTTPS,
    PTR,
    NAPTR,
    SSHFP,
    TLSA,
    CAA,
];

const CLOUD_DNS_TYPES: [RecordType; 15] = ROUTE53_TYPES;

const AZURE_TYPES: [RecordType; 9] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::TXT,
    RecordType::NS,
    RecordType::SRV,
    PTR,
    CAA,
];
