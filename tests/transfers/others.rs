//! NSD, Knot and BIND, each in a directory of its own on loopback.

use crate::process::{KEY, free_port, secret, serial, until};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Bind,
    Knot,
    Nsd,
}

pub(crate) const ALL: [Kind; 3] = [Kind::Bind, Kind::Knot, Kind::Nsd];

/// What a server is to have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The server that it has its zones from.
    pub(crate) primary: u16,
    /// Whether requests are signed.
    pub(crate) signed: bool,
    pub(crate) zones: Vec<&'static str>,
    /// A catalog zone to follow.
    pub(crate) catalog: Option<&'static str>,
    /// Where the primary is asked over TLS: its name, and whose word to take for that. Not Knot.
    pub(crate) tls: Option<(&'static str, String)>,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    child: Child,
    pub(crate) directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // NSD's children go only with their parent's own goodbye.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A secondary that listens on that port.
    pub(crate) fn secondary(kind: Kind, port: u16, plan: &Plan) -> Self {
        Self::start(kind, port, |place| match kind {
            Kind::Bind => bind_secondary(place, port, plan),
            Kind::Knot => knot_secondary(place, port, plan),
            Kind::Nsd => nsd_secondary(place, port, plan),
        })
    }

    /// A primary of one zone of that text, which gives it to who signs with the key, and tells
    /// `told` of changes.
    pub(crate) fn primary(kind: Kind, zone: &str, text: &str, told: u16) -> Self {
        let port = free_port();
        Self::start(kind, port, |place| {
            fs::write(place.join("zone"), text).unwrap();
            match kind {
                Kind::Bind => bind_primary(place, port, zone, told),
                Kind::Knot => knot_primary(place, port, zone, told),
                Kind::Nsd => panic!("NSD takes no updates"),
            }
        })
    }

    /// BIND as the primary of one zone, which it gives over TLS alone; and the port for that.
    pub(crate) fn primary_over_tls(zone: &str, text: &str, files: (&str, &str)) -> (Self, u16) {
        let (port, over_tls) = (free_port(), free_port());
        let own = Self::start(Kind::Bind, port, |place| {
            fs::write(place.join("zone"), text).unwrap();
            let more = format!(
                "listen-on port {over_tls} tls own {{ 127.0.0.1; }}; allow-transfer port {over_tls} \
                 transport tls {{ key \"{KEY}\"; }};"
            );
            let (chain, key) = files;
            let config = format!(
                "tls own {{ cert-file \"{chain}\"; key-file \"{key}\"; }};\n{}zone \"{zone}\" {{ \
                 type primary; file \"zone\"; }};\n",
                bind_head(place, port, &more)
            );
            bind_run(place, &config)
        });
        (own.ready(zone), over_tls)
    }

    fn start(kind: Kind, port: u16, configure: impl Fn(&Path) -> Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = configure(directory.path());
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = command
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap_or_else(|error| panic!("{kind:?} is installed by tests/setup.sh: {error}"));
        Self { kind, port, child, directory }
    }

    /// Waits until it serves the zone.
    pub(crate) fn ready(self, zone: &str) -> Self {
        until(&format!("{:?} serves {zone}", self.kind), || serial(self.port, zone).is_some());
        self
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

// === Secondaries ===

fn bind_head(place: &Path, port: u16, more: &str) -> String {
    let directory = place.display();
    format!(
        "key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\noptions {{ directory \
         \"{directory}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         pid-file none; session-keyfile \"{directory}/session.key\"; recursion no; \
         dnssec-validation no; serial-query-rate 100; {more} }};\ncontrols {{ }};\n",
        secret()
    )
}

fn bind_run(place: &Path, text: &str) -> Command {
    fs::write(place.join("named.conf"), text).unwrap();
    let mut command = Command::new("/usr/sbin/named");
    command.args(["-g", "-n", "1", "-c"]).arg(place.join("named.conf"));
    command
}

fn bind_secondary(place: &Path, port: u16, plan: &Plan) -> Command {
    let key = if plan.signed { format!("key \"{KEY}\"") } else { String::new() };
    let tls = if plan.tls.is_some() { "tls ours" } else { "" };
    let primaries = format!("127.0.0.1 port {} {key} {tls};", plan.primary);
    let catalog = plan.catalog.map_or(String::new(), |own| {
        format!(
            "catalog-zones {{ zone \"{own}\" default-primaries {{ {primaries} }} in-memory yes \
             min-update-interval 1; }};"
        )
    });
    let mut text =
        bind_head(place, port, &format!("notify no; allow-transfer {{ any; }}; {catalog}"));
    if let Some((host, ca)) = &plan.tls {
        text += &format!("tls ours {{ ca-file \"{ca}\"; remote-hostname \"{host}\"; }};\n");
    }
    for (at, zone) in plan.zones.iter().chain(&plan.catalog).enumerate() {
        text += &format!(
            "zone \"{zone}\" {{ type secondary; file \"zone{at}\"; masterfile-format text; \
             primaries {{ {primaries} }}; }};\n"
        );
    }
    bind_run(place, &text)
}

fn knot_head(place: &Path, port: u16) -> String {
    let directory = place.display();
    format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {directory}\ndatabase:\n  storage: \
         {directory}\nkey:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {}\n",
        secret()
    )
}

fn knot_run(place: &Path, text: &str) -> Command {
    fs::write(place.join("knot.conf"), text).unwrap();
    let mut command = Command::new("/usr/sbin/knotd");
    command.arg("-c").arg(place.join("knot.conf"));
    command
}

fn knot_secondary(place: &Path, port: u16, plan: &Plan) -> Command {
    let (directory, primary) = (place.display(), plan.primary);
    let key = if plan.signed { format!("    key: {KEY}\n") } else { String::new() };
    let mut text = knot_head(place, port);
    text += &format!(
        "remote:\n  - id: ours\n    address: 127.0.0.1@{primary}\n{key}acl:\n  - id: notices\n    \
         address: 127.0.0.1\n{key}    action: notify\n  - id: readers\n    address: 127.0.0.1\n    \
         action: transfer\ntemplate:\n  - id: member\n    storage: {directory}\n    master: ours\n    \
         acl: [notices, readers]\n    zonefile-sync: -1\nzone:\n"
    );
    for zone in &plan.zones {
        text += &format!("  - domain: {zone}\n    template: member\n");
    }
    if let Some(catalog) = plan.catalog {
        text += &format!(
            "  - domain: {catalog}\n    template: member\n    catalog-role: interpret\n    \
             catalog-template: member\n"
        );
    }
    knot_run(place, &text)
}

fn nsd_secondary(place: &Path, port: u16, plan: &Plan) -> Command {
    let (directory, primary) = (place.display(), plan.primary);
    let key = if plan.signed { KEY } else { "NOKEY" };
    let tls = if plan.tls.is_some() { "ours" } else { "" };
    let trusted = plan.tls.iter().map(|(_, ca)| format!("  tls-cert-bundle: {ca}\n"));
    let trusted: String = trusted.collect();
    let mut text = format!(
        "server:\n{trusted}  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: {directory}\n  \
         database: \"\"\n  pidfile: {directory}/pid\n  xfrdfile: {directory}/xfrd\n  xfrdir: \
         {directory}\n  zonelistfile: {directory}/list\n  xfrd-reload-timeout: 0\n  server-count: \
         1\nremote-control:\n  control-enable: no\nkey:\n  name: {KEY}\n  algorithm: hmac-sha256\n  \
         secret: \"{}\"\n",
        secret()
    );
    if let Some((host, _)) = &plan.tls {
        text += &format!("tls-auth:\n  name: ours\n  auth-domain-name: {host}\n");
    }
    for (at, zone) in plan.zones.iter().enumerate() {
        text += &format!(
            "zone:\n  name: {zone}\n  zonefile: zone{at}\n  request-xfr: 127.0.0.1@{primary} \
             {key} {tls}\n  allow-notify: 127.0.0.1 {key}\n  provide-xfr: 127.0.0.1 NOKEY\n"
        );
    }
    fs::write(place.join("nsd.conf"), text).unwrap();
    let mut command = Command::new("/usr/sbin/nsd");
    command.args(["-d", "-c"]).arg(place.join("nsd.conf"));
    command
}

// === Primaries ===

fn bind_primary(place: &Path, port: u16, zone: &str, told: u16) -> Command {
    let more = format!(
        "notify explicit; notify-delay 0; also-notify {{ 127.0.0.1 port {told} key \"{KEY}\"; }}; \
         allow-transfer {{ key \"{KEY}\"; }};"
    );
    let text = bind_head(place, port, &more);
    let zone = format!(
        "zone \"{zone}\" {{ type primary; file \"zone\"; allow-update {{ key \"{KEY}\"; }}; }};\n"
    );
    bind_run(place, &(text + &zone))
}

fn knot_primary(place: &Path, port: u16, zone: &str, told: u16) -> Command {
    let directory = place.display();
    let mut text = knot_head(place, port);
    text += &format!(
        "remote:\n  - id: ours\n    address: 127.0.0.1@{told}\n    key: {KEY}\nacl:\n  - id: own\n    \
         key: {KEY}\n    action: [update, transfer]\nzone:\n  - domain: {zone}\n    storage: \
         {directory}\n    file: zone\n    notify: ours\n    acl: own\n    zonefile-sync: -1\n    \
         journal-content: all\n    zonefile-load: difference-no-serial\n"
    );
    knot_run(place, &text)
}
