//! A health check as `plan` says it, and as compute has it (providers.md §2, compute.v1):
//!
//! ```text
//! http://*:80/healthz host=shop.example interval=30 timeout=3 fall=3 rise=2 from=<three regions>
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A `HealthCheck`, without what only the service says, and with all else that it may hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HealthCheck {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(flatten)]
    pub(super) settings: Map<String, Value>,
}

/// Scheme in a text, type, and the field that holds what is asked.
const PROTOCOLS: [(&str, &str, &str); 3] = [
    ("http", "HTTP", "httpHealthCheck"),
    ("https", "HTTPS", "httpsHealthCheck"),
    ("tcp", "TCP", "tcpHealthCheck"),
];

/// Numbers by their word in a text.
const NUMBERS: [(&str, &str); 4] = [
    ("interval", "checkIntervalSec"),
    ("timeout", "timeoutSec"),
    ("fall", "unhealthyThreshold"),
    ("rise", "healthyThreshold"),
];

/// What a text asks for; `None` when it is no such text.
pub(super) fn settings_of(text: &str) -> Option<Map<String, Value>> {
    let (head, body) = match text.split_once(" body=") {
        Some((head, body)) => (head, Some(body)),
        None => (text, None),
    };
    let mut words = head.split(' ');
    let (scheme, rest) = words.next()?.split_once("://*:")?;
    let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (_, kind, field) = PROTOCOLS.iter().find(|(own, ..)| *own == scheme)?;
    let mut asked = json!({"port": port.parse::<u16>().ok()?});
    let mut settings = Map::from_iter([("type".to_owned(), json!(kind))]);
    if !path.is_empty() {
        asked["requestPath"] = json!(path);
    }
    if let Some(body) = body {
        asked["response"] = json!(body);
    }
    for word in words {
        match word.split_once('=')? {
            ("host", host) => asked["host"] = json!(host),
            ("from", places) => {
                let places: Vec<&str> = places.split('+').collect();
                settings.insert("sourceRegions".to_owned(), json!(places));
            }
            (word, number) => {
                let (_, own) = NUMBERS.iter().find(|(own, _)| *own == word)?;
                settings.insert((*own).to_owned(), json!(number.parse::<u32>().ok()?));
            }
        }
    }
    settings.insert((*field).to_owned(), asked);
    Some(settings)
}

/// Settings as `plan` writes them; what somebody changed shows.
pub(super) fn text_of(settings: &Map<String, Value>) -> String {
    let kind = settings.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some((scheme, _, field)) = PROTOCOLS.iter().find(|(_, own, _)| *own == kind) else {
        return format!("type={kind}");
    };
    let asked = settings.get(*field).unwrap_or(&Value::Null);
    let word = |field: &str| asked[field].as_str().unwrap_or_default();
    let port = asked["port"].as_u64().unwrap_or_default();
    let mut text = format!("{scheme}://*:{port}{}", word("requestPath"));
    if asked["host"].is_string() {
        text += &format!(" host={}", word("host"));
    }
    for (word, field) in NUMBERS {
        let number = settings.get(field).and_then(Value::as_u64).unwrap_or_default();
        text += &format!(" {word}={number}");
    }
    let mut places: Vec<&str> = settings
        .get("sourceRegions")
        .and_then(Value::as_array)
        .map_or(Vec::new(), |all| all.iter().filter_map(Value::as_str).collect());
    places.sort_unstable();
    text += &format!(" from={}", places.join("+"));
    // Nothing that we say: others' hands.
    let usual = [("proxyHeader", "NONE"), ("portSpecification", "USE_FIXED_PORT"), ("request", "")];
    for (field, usual) in usual {
        if ![usual, ""].contains(&word(field)) {
            text += &format!(" {field}={}", word(field));
        }
    }
    if !word("response").is_empty() {
        text += &format!(" body={}", word("response"));
    }
    text
}

/// What a change of such a check says: all of it; and what it does not have goes, by `null`.
pub(super) fn patch_of(mut settings: Map<String, Value>) -> Map<String, Value> {
    for (scheme, _, field) in PROTOCOLS {
        let Some(asked) = settings.get_mut(field).and_then(Value::as_object_mut) else {
            settings.insert(field.to_owned(), Value::Null);
            continue;
        };
        let bare = (scheme == "tcp").then_some("request");
        for own in ["response", "proxyHeader", "portSpecification"].into_iter().chain(bare) {
            asked.entry(own).or_insert(Value::Null);
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTPS: &str = "https://*:443/a?b=c host=x.test interval=30 timeout=5 fall=10 rise=2 \
                         from=asia-east1+europe-west1+us-central1 body=so = so, well";

    #[test]
    fn a_text_comes_back_from_the_check_that_it_asks_for() {
        for text in [
            "tcp://*:443 interval=30 timeout=3 fall=3 rise=2 from=a+b+c",
            "http://*:80/healthz host=shop.example interval=31 timeout=3 fall=3 rise=2 from=a+b+c",
            HTTPS,
        ] {
            assert_eq!(text_of(&settings_of(text).unwrap()), text);
        }
        for text in ["", "https://www.googleapis.com/compute/v1/x", "tcp://*:443 odd", "udp://*:1"]
        {
            assert_eq!(settings_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_change_takes_out_what_somebody_added() {
        let patch = patch_of(settings_of("tcp://*:1 interval=30 from=a+b+c").unwrap());
        let nothing = json!({"port": 1, "proxyHeader": null, "portSpecification": null, "request": null, "response": null});
        assert_eq!(patch["tcpHealthCheck"], nothing);
        assert_eq!((&patch["httpHealthCheck"], &patch["type"]), (&Value::Null, &json!("TCP")));
        assert_eq!(
            patch_of(settings_of(HTTPS).unwrap())["httpsHealthCheck"]["response"],
            "so = so, well"
        );
    }

    #[test]
    fn what_the_service_fills_in_is_no_difference_and_what_somebody_changed_is() {
        let mut settings = settings_of(HTTPS).unwrap();
        settings.insert("kind".to_owned(), json!("compute#healthCheck"));
        settings["httpsHealthCheck"]["proxyHeader"] = json!("NONE");
        settings["httpsHealthCheck"]["portSpecification"] = json!("USE_FIXED_PORT");
        settings["sourceRegions"] = json!(["us-central1", "asia-east1", "europe-west1"]);
        assert_eq!(text_of(&settings), HTTPS);
        settings["httpsHealthCheck"]["proxyHeader"] = json!("PROXY_V1");
        assert!(text_of(&settings).contains(" proxyHeader=PROXY_V1 body="));
        settings.insert("type".to_owned(), json!("SSL"));
        assert_eq!(text_of(&settings), "type=SSL");
    }
}
