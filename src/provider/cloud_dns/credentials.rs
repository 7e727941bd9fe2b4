//! Google's credential files, read: the key of a service account, or the configuration of an
//! account elsewhere whose own tokens are exchanged (workload identity federation).

use ring::signature::RsaKeyPair;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// A credential file that can be used. It never shows what it holds.
pub struct GoogleCredentials(pub(super) Kind);

/// The kinds of files.
pub(super) enum Kind {
    Key(Key),
    External(External),
}

/// The key of a service account.
#[derive(Deserialize)]
pub(super) struct Key {
    project_id: Option<String>,
    pub(super) private_key_id: Option<String>,
    private_key: String,
    pub(super) client_email: String,
    #[serde(default = "token_uri")]
    pub(super) token_uri: String,
}

/// An account elsewhere.
#[derive(Deserialize)]
pub(super) struct External {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    #[serde(default = "token_url")]
    pub(super) token_url: String,
    credential_source: WrittenSource,
    pub(super) service_account_impersonation_url: Option<String>,
    #[serde(default)]
    pub(super) service_account_impersonation: Impersonation,
    /// For accounts of people, which ask on behalf of a project.
    pub(super) workforce_pool_user_project: Option<String>,
}

/// How a service account is taken on.
#[derive(Default, Deserialize)]
pub(super) struct Impersonation {
    pub(super) token_lifetime_seconds: Option<u32>,
}

/// Where the account's own token is, as written.
#[derive(Deserialize)]
struct WrittenSource {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    format: Format,
}

/// What holds the account's own token.
#[derive(Default, Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

/// Where the account's own token is.
pub(super) enum Source<'a> {
    File(&'a str),
    Url(&'a str, &'a BTreeMap<String, String>),
}

impl GoogleCredentials {
    /// The project that they are of, where they say it.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        match &self.0 {
            Kind::Key(key) => key.project_id.as_deref(),
            Kind::External(_) => None,
        }
    }
}

impl fmt::Debug for GoogleCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Key(key) => write!(f, "GoogleCredentials({})", key.client_email),
            Kind::External(external) => write!(f, "GoogleCredentials({})", external.audience),
        }
    }
}

impl FromStr for GoogleCredentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let body: Value =
            serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        match body["type"].as_str() {
            Some("service_account") => {
                let key: Key = fields(body)?;
                key.pair()?;
                Ok(Self(Kind::Key(key)))
            }
            Some("external_account") => {
                let source = &body["credential_source"];
                for other in ["environment_id", "executable", "certificate"] {
                    if source.get(other).is_some() {
                        return Err(format!(
                            "has credential_source.{other}, which is not supported; expected file \
                             or url"
                        ));
                    }
                }
                let external: External = fields(body)?;
                external.source()?;
                external.token("{}")?;
                Ok(Self(Kind::External(external)))
            }
            other => Err(format!(
                "is of type {:?}; expected service_account or external_account",
                other.unwrap_or_default()
            )),
        }
    }
}

fn fields<T: for<'de> Deserialize<'de>>(body: Value) -> Result<T, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

impl Key {
    /// The key pair that signs.
    pub(super) fn pair(&self) -> Result<RsaKeyPair, String> {
        let bad = || "private_key is not an RSA key in PEM form".to_owned();
        let der = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes()).map_err(|_| bad())?;
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(bad()),
        };
        pair.map_err(|error| format!("private_key is not an RSA key that can be used: {error}"))
    }
}

impl External {
    /// Where the account's own token is.
    pub(super) fn source(&self) -> Result<Source<'_>, String> {
        let own = &self.credential_source;
        match (&own.file, &own.url) {
            (Some(file), None) => Ok(Source::File(file)),
            (None, Some(url)) => Ok(Source::Url(url, &own.headers)),
            _ => Err("credential_source needs a file or a url, and not both".to_owned()),
        }
    }

    /// The account's own token in what its source holds; empty where that holds none.
    pub(super) fn token(&self, held: &str) -> Result<String, String> {
        let Format { kind, subject_token_field_name: field } = &self.credential_source.format;
        match (kind.as_deref(), field) {
            (None | Some("text"), _) => Ok(held.trim().to_owned()),
            (Some("json"), Some(field)) => {
                let body: Value =
                    serde_json::from_str(held).map_err(|error| format!("is not JSON: {error}"))?;
                Ok(body[field].as_str().unwrap_or_default().to_owned())
            }
            (Some("json"), None) => {
                Err("credential_source.format needs subject_token_field_name".to_owned())
            }
            (Some(other), _) => {
                Err(format!("credential_source.format.type is {other:?}; expected text or json"))
            }
        }
    }
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

fn token_url() -> String {
    "https://sts.googleapis.com/v1/token".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &Value) -> Result<GoogleCredentials, String> {
        body.to_string().parse()
    }

    fn external(source: &Value) -> Value {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": source,
        })
    }

    #[test]
    fn files_that_cannot_be_used_say_why_and_show_no_secret() {
        for (body, word) in [
            (json!({}), "expected service_account or external_account"),
            (json!({ "type": "authorized_user" }), "authorized_user"),
            (json!({ "type": "service_account" }), "private_key"),
            (
                json!({ "type": "service_account", "private_key": "s3cret", "client_email": "a" }),
                "is not an RSA key in PEM form",
            ),
            (external(&json!({})), "needs a file or a url"),
            (external(&json!({ "environment_id": "aws1" })), "environment_id"),
            (external(&json!({ "executable": {} })), "executable"),
            (external(&json!({ "file": "t", "format": { "type": "xml" } })), "xml"),
            (external(&json!({ "file": "t", "format": { "type": "json" } })), "field_name"),
        ] {
            let error = read(&body).unwrap_err();
            assert!(error.contains(word) && !error.contains("s3cret"), "{error}");
        }
        assert!("nothing".parse::<GoogleCredentials>().unwrap_err().contains("is not JSON"));
    }

    #[test]
    fn a_token_is_read_bare_or_out_of_a_field() {
        let token = |format: Value, held: &str| {
            let own = read(&external(&json!({ "url": "http://t", "format": format }))).unwrap();
            assert_eq!(format!("{own:?}"), "GoogleCredentials(//iam.googleapis.com/x)");
            let Kind::External(external) = own.0 else { unreachable!() };
            external.token(held).unwrap()
        };
        assert_eq!(token(json!({}), " a.b.c\n"), "a.b.c");
        let format = json!({ "type": "json", "subject_token_field_name": "value" });
        assert_eq!(token(format, r#"{"value": "a.b.c"}"#), "a.b.c");
    }
}
