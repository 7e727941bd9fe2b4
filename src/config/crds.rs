//! The custom resource definitions, as `meridian crds` prints them.

use super::spec::{Federation, MemberCluster, TrafficPolicy};
use kube::CustomResourceExt;

/// All definitions as one YAML text of several documents.
///
/// # Errors
/// When a definition cannot be written as YAML, which a test rules out.
pub fn crds() -> Result<String, serde_saphyr::ser::Error> {
    let all = [Federation::crd(), MemberCluster::crd(), TrafficPolicy::crd()];
    let texts: Result<Vec<String>, _> = all.iter().map(serde_saphyr::to_string).collect();
    Ok(texts?.iter().map(|text| format!("---\n{}\n", text.trim_end())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_yaml_that_reads_back() {
        let documents: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&crds().unwrap()).unwrap();
        let names: Vec<_> =
            documents.iter().filter_map(|document| document["metadata"]["name"].as_str()).collect();
        let wanted = [
            "federations.meridian.dev",
            "memberclusters.meridian.dev",
            "trafficpolicies.meridian.dev",
        ];
        assert_eq!(names, wanted);
    }
}
