//! Which API server, and with what credentials: a kubeconfig is input, and refused where it would
//! run commands or read files, unless the operator trusts it.

use kube::config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Which context of which file.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) path: Option<PathBuf>,
    pub(super) context: Option<String>,
    pub(super) trusted: bool,
}

/// Why a kubeconfig gives no cluster; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The file cannot be read or is no kubeconfig.
    #[error("kubeconfig {file}: {reason}")]
    Unreadable {
        /// Where it was looked for.
        file: String,
        /// What went wrong.
        reason: String,
    },
    /// It has no such context.
    #[error("kubeconfig {file} has no context {wanted:?}; it has {}{}", list(.there), near(.nearest))]
    NoContext {
        /// The file.
        file: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// It would run a command, read a file or send credentials in clear.
    #[error(
        "kubeconfig {file}, context {context:?} uses {}; this is refused unless the operator \
         trusts the file (--trust-kubeconfig, or spec.access.trusted: true)", .fields.join(", ")
    )]
    Untrusted {
        /// The file.
        file: String,
        /// The context.
        context: String,
        /// The fields that are refused.
        fields: Vec<&'static str>,
    },
    /// The client library cannot use it.
    #[error("kubeconfig {file}, context {context:?} cannot be used: {reason}")]
    Unusable {
        /// The file.
        file: String,
        /// The context.
        context: String,
        /// What the library says.
        reason: String,
    },
}

/// The contexts that a kubeconfig has.
///
/// # Errors
/// When the file cannot be read or is no kubeconfig.
pub fn contexts(path: Option<&PathBuf>) -> Result<Vec<String>, KubeconfigError> {
    let (_, kubeconfig) = read(path)?;
    Ok(kubeconfig.contexts.into_iter().map(|context| context.name).collect())
}

/// A cluster's connection, and a fingerprint that changes when the file's content does.
pub(super) struct Loaded {
    pub(super) config: kube::Config,
    pub(super) fingerprint: [u8; 32],
}

pub(super) fn fingerprint(wanted: &Wanted) -> Result<[u8; 32], KubeconfigError> {
    let (_, kubeconfig) = read(wanted.path.as_ref())?;
    Ok(hash(&kubeconfig))
}

pub(super) async fn load(wanted: &Wanted) -> Result<Loaded, KubeconfigError> {
    let (file, mut kubeconfig) = read(wanted.path.as_ref())?;
    let fingerprint = hash(&kubeconfig);
    let context = pick_context(&file, &kubeconfig, wanted.context.as_deref())?;
    if !wanted.trusted {
        refuse_untrusted(&file, &context, &kubeconfig)?;
    }
    let options = KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
    let proxy = take_proxy(&mut kubeconfig, &context);
    let unusable = |error: &dyn std::fmt::Display| KubeconfigError::Unusable {
        file: file.clone(),
        context: context.clone(),
        reason: error.to_string(),
    };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| unusable(&error))?;
    // A server that sheds load must show as such at once; we have a backoff of our own.
    config.default_retry = false;
    // Only the kubeconfig's own proxy: the environment's is not meant for member clusters.
    config.proxy_url = match proxy {
        Some(url) => Some(url.parse().map_err(|error| unusable(&error))?),
        None => None,
    };
    Ok(Loaded { config, fingerprint })
}

fn read(path: Option<&PathBuf>) -> Result<(String, Kubeconfig), KubeconfigError> {
    let (file, read) = match path {
        Some(path) => (path.display().to_string(), Kubeconfig::read_from(path)),
        None => {
            let file = std::env::var("KUBECONFIG").unwrap_or_else(|_| "~/.kube/config".to_owned());
            (file, Kubeconfig::read())
        }
    };
    match read {
        Ok(kubeconfig) => Ok((file, kubeconfig)),
        Err(error) => Err(KubeconfigError::Unreadable { file, reason: chain(&error) }),
    }
}

/// An error with all its causes: the outermost alone seldom says which field.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn hash(kubeconfig: &Kubeconfig) -> [u8; 32] {
    let text = serde_json::to_vec(kubeconfig).unwrap_or_default();
    Sha256::digest(text).into()
}

fn pick_context(
    file: &str,
    kubeconfig: &Kubeconfig,
    wanted: Option<&str>,
) -> Result<String, KubeconfigError> {
    let wanted = wanted.or(kubeconfig.current_context.as_deref()).unwrap_or_default();
    let there: Vec<String> = kubeconfig.contexts.iter().map(|own| own.name.clone()).collect();
    if there.iter().any(|name| name == wanted) {
        return Ok(wanted.to_owned());
    }
    let close = |name: &&String| strsim::jaro_winkler(name, wanted) > 0.7;
    let nearest = there
        .iter()
        .filter(close)
        .max_by(|a, b| strsim::jaro_winkler(a, wanted).total_cmp(&strsim::jaro_winkler(b, wanted)));
    let nearest = nearest.cloned();
    let (file, wanted) = (file.to_owned(), wanted.to_owned());
    Err(KubeconfigError::NoContext { file, wanted, there, nearest })
}

fn refuse_untrusted(
    file: &str,
    context: &str,
    kubeconfig: &Kubeconfig,
) -> Result<(), KubeconfigError> {
    let mut fields = Vec::new();
    if let Some(cluster) = cluster_of(kubeconfig, context) {
        fields.extend(untrusted_cluster_fields(cluster));
    }
    if let Some(user) = user_of(kubeconfig, context) {
        fields.extend(untrusted_user_fields(user));
    }
    if fields.is_empty() {
        return Ok(());
    }
    let (file, context) = (file.to_owned(), context.to_owned());
    Err(KubeconfigError::Untrusted { file, context, fields })
}

fn untrusted_cluster_fields(cluster: &Cluster) -> impl Iterator<Item = &'static str> {
    let plain = cluster.server.as_deref().is_some_and(|server| !server.starts_with("https://"));
    let found = [
        (plain, "cluster.server without https://"),
        (cluster.insecure_skip_tls_verify == Some(true), "cluster.insecure-skip-tls-verify"),
        (cluster.certificate_authority.is_some(), "cluster.certificate-authority (a file)"),
    ];
    found.into_iter().filter_map(|(refused, field)| refused.then_some(field))
}

fn untrusted_user_fields(user: &AuthInfo) -> impl Iterator<Item = &'static str> {
    let found = [
        (user.exec.is_some(), "user.exec (a command)"),
        (user.auth_provider.is_some(), "user.auth-provider (a command)"),
        (user.token_file.is_some(), "user.tokenFile (a file)"),
        (user.client_certificate.is_some(), "user.client-certificate (a file)"),
        (user.client_key.is_some(), "user.client-key (a file)"),
    ];
    found.into_iter().filter_map(|(refused, field)| refused.then_some(field))
}

/// The kubeconfig's own proxy. A word is left in its place, since the library would look into the
/// environment otherwise, and fail on what it finds there.
fn take_proxy(kubeconfig: &mut Kubeconfig, context: &str) -> Option<String> {
    let name = cluster_name(kubeconfig, context)?.to_owned();
    let clusters = kubeconfig.clusters.iter_mut();
    let mut clusters = clusters.filter(|own| own.name == name);
    let cluster = clusters.next()?.cluster.as_mut()?;
    cluster.proxy_url.replace("http://unused".to_owned()).filter(|url| !url.is_empty())
}

fn cluster_of<'k>(kubeconfig: &'k Kubeconfig, context: &str) -> Option<&'k Cluster> {
    let name = cluster_name(kubeconfig, context)?;
    kubeconfig.clusters.iter().find(|own| own.name == name)?.cluster.as_ref()
}

fn cluster_name<'k>(kubeconfig: &'k Kubeconfig, context: &str) -> Option<&'k str> {
    let context = kubeconfig.contexts.iter().find(|own| own.name == context)?.context.as_ref()?;
    Some(&context.cluster)
}

fn user_of<'k>(kubeconfig: &'k Kubeconfig, context: &str) -> Option<&'k AuthInfo> {
    let context = kubeconfig.contexts.iter().find(|own| own.name == context)?.context.as_ref()?;
    let user = context.user.as_ref()?;
    kubeconfig.auth_infos.iter().find(|own| own.name == *user)?.auth_info.as_ref()
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn near(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(user: &str, server: &str) -> (tempfile::TempDir, Wanted) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: gke\nclusters:\n- name: c\n  cluster: \
             {{server: \"{server}\"}}\nusers:\n- name: u\n  user: {user}\ncontexts:\n- name: gke\n  \
             context: {{cluster: c, user: u}}\n"
        );
        std::fs::write(&path, text).unwrap();
        (directory, Wanted { path: Some(path), context: None, trusted: false })
    }

    async fn error(wanted: &Wanted) -> String {
        match load(wanted).await {
            Ok(_) => panic!("this kubeconfig should be refused"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_token_over_https_is_accepted() {
        let (_directory, wanted) = kubeconfig("{token: abc}", "https://127.0.0.1:6443");
        let loaded = load(&wanted).await.unwrap();
        assert!(!loaded.config.default_retry);
        assert_eq!(loaded.fingerprint, fingerprint(&wanted).unwrap());
    }

    #[tokio::test]
    async fn only_the_kubeconfigs_own_proxy_is_used() {
        let (_directory, wanted) = kubeconfig("{token: abc}", "https://127.0.0.1:1");
        assert_eq!(load(&wanted).await.unwrap().config.proxy_url, None);
        let server = "https://127.0.0.1:1\", proxy-url: \"http://127.0.0.1:3128";
        let (_directory, wanted) = kubeconfig("{token: abc}", server);
        let proxy = load(&wanted).await.unwrap().config.proxy_url.unwrap();
        assert_eq!(proxy.to_string(), "http://127.0.0.1:3128/");
    }

    #[tokio::test]
    async fn commands_files_and_clear_text_are_refused_by_name_unless_trusted() {
        let exec = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}}";
        for (user, server, field) in [
            (exec, "https://127.0.0.1:1", "user.exec"),
            ("{tokenFile: /etc/passwd}", "https://127.0.0.1:1", "user.tokenFile"),
            ("{client-key: /k, client-certificate: /c}", "https://127.0.0.1:1", "user.client-key"),
            ("{token: abc}", "http://127.0.0.1:1", "cluster.server"),
        ] {
            let (_directory, wanted) = kubeconfig(user, server);
            let text = error(&wanted).await;
            assert!(text.contains(field) && text.contains("--trust-kubeconfig"), "{text}");
        }
        let (_directory, wanted) = kubeconfig("{token: abc}", "http://127.0.0.1:1");
        assert!(load(&Wanted { trusted: true, ..wanted }).await.is_ok());
    }

    #[tokio::test]
    async fn a_context_that_does_not_exist_is_answered_with_those_that_do() {
        let (_directory, wanted) = kubeconfig("{token: abc}", "https://127.0.0.1:1");
        let text = error(&Wanted { context: Some("gkee".to_owned()), ..wanted }).await;
        assert!(text.contains("no context \"gkee\"; it has gke; did you mean \"gke\"?"), "{text}");
    }

    #[tokio::test]
    async fn a_file_that_is_missing_or_broken_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nothing");
        let wanted = Wanted { path: Some(path.clone()), context: None, trusted: false };
        assert!(error(&wanted).await.contains("nothing"));
        std::fs::write(&path, "clusters: [").unwrap();
        assert!(error(&wanted).await.contains("nothing"));
    }
}
