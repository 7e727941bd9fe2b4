//! A provider as scenarios see it.

use crate::place::Data;

/// One provider with an empty zone, seen from behind.
pub(crate) trait Target {
    /// What `spec.publish` says of it.
    fn publish(&self) -> String;
    /// The same with credentials that are wrong.
    fn publish_denied(&self) -> String;
    /// Files that lie beside the configuration.
    fn files(&self) -> Vec<(String, String)>;
    /// What the process has in its environment.
    fn environment(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// Every record set, bookkeeping too.
    fn all(&self) -> Data;
    /// Somebody else writes a record set.
    fn put(&self, name: &str, rtype: &str, ttl: u32, data: &[&str]);
    /// Somebody else removes one.
    fn remove(&self, name: &str, rtype: &str);

    /// Without bookkeeping, SOA and NS.
    fn data(&self) -> Data {
        let mut all = self.all();
        all.retain(|(name, rtype), _| {
            !name.starts_with("_meridian") && rtype != "SOA" && rtype != "NS"
        });
        all
    }

    /// The values of one record set.
    fn get(&self, name: &str, rtype: &str) -> Vec<String> {
        self.all().remove(&(name.to_owned(), rtype.to_owned())).unwrap_or_default()
    }
}
