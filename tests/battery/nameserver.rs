//! BIND and Knot as providers.

#[path = "../support/nameserver.rs"]
mod server;

pub(crate) use server::NameServer;

use crate::{
    place::{Data, ZONE},
    target::Target,
};
use data_encoding::BASE64;
use server::KEY;

impl Target for NameServer {
    fn publish(&self) -> String {
        format!(
            "{{provider: rfc2136, server: \"127.0.0.1:{}\", tsig: {{name: {KEY}, secretFile: \
             tsig.key}}, look: 30s}}",
            self.port
        )
    }

    fn publish_denied(&self) -> String {
        self.publish().replace("tsig.key", "wrong.key")
    }

    fn files(&self) -> Vec<(String, String)> {
        let wrong = BASE64.encode(b"another string of thirty-two oct");
        vec![("tsig.key".to_owned(), self.secret.clone()), ("wrong.key".to_owned(), wrong)]
    }

    fn all(&self) -> Data {
        let text = self.dig(&["-y", &self.key(), "+nocomments", "+nostats", ZONE, "AXFR"]);
        let mut all = Data::new();
        for line in text.lines().filter(|line| line.contains("IN") && !line.starts_with(';')) {
            let words: Vec<_> = line.split_whitespace().collect();
            let [name, _ttl, "IN", rtype, ..] = words[..] else { continue };
            let data = words[4..].join(" ");
            all.entry((name.to_lowercase(), rtype.to_owned())).or_default().push(data);
        }
        all.values_mut().for_each(|data| data.sort());
        all
    }

    fn put(&self, name: &str, rtype: &str, ttl: u32, data: &[&str]) {
        let lines: Vec<_> =
            data.iter().map(|one| format!("update add {name} {ttl} {rtype} {one}")).collect();
        self.update(&format!("update delete {name} {rtype}\n{}", lines.join("\n")));
    }

    fn remove(&self, name: &str, rtype: &str) {
        self.update(&format!("update delete {name} {rtype}"));
    }
}
