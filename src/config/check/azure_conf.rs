//! Azure's `dns.conf` as Kubernetes federation v1 had it: what it says, and every key that is
//! missing, mistyped or said twice.
//!
//! ```text
//! [Global]
//! subscription-id = …
//! tenant-id = …
//! client-id = …
//! secret = …
//! resourceGroup = …
//! ```
//!
//! Without a secret the cluster's or the machine's own identity is used, which may know tenant and
//! client by itself.

/// The five settings, as far as they are said.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct AzureConf {
    pub(super) subscription_id: Option<String>,
    pub(super) tenant_id: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) resource_group: Option<String>,
}

const KEYS: [&str; 5] = ["subscription-id", "tenant-id", "client-id", "secret", "resourceGroup"];

impl AzureConf {
    /// `given`: whether subscription and resource group are said elsewhere. Errors never show a
    /// value, which could be the secret.
    pub(super) fn read(text: &str, given: (bool, bool)) -> Result<Self, Vec<String>> {
        let (mut own, mut errors) = (Self::default(), Vec::new());
        let mut section = false;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (at, line) in text.lines().enumerate() {
            if let Err(error) = own.line(line.trim(), &mut section) {
                errors.push(format!("line {}: {error}", at + 1));
            }
        }
        if errors.is_empty() {
            errors.extend(own.missing(given).map(|key| match key {
                "tenant-id" | "client-id" => {
                    format!("{key} is missing: a secret is another's without it")
                }
                "resourceGroup" => format!("{key} is missing, and spec.resourceGroup is not said"),
                _ => format!("{key} is missing, and spec.subscriptionId is not said"),
            }));
        }
        if errors.is_empty() { Ok(own) } else { Err(errors) }
    }

    fn line(&mut self, line: &str, section: &mut bool) -> Result<(), String> {
        if line.is_empty() || line.starts_with([';', '#']) {
            return Ok(());
        }
        if line.starts_with('[') {
            let name = line.split([';', '#']).next().unwrap_or_default().trim();
            *section = name.eq_ignore_ascii_case("[global]");
            return if *section { Ok(()) } else { Err("expected [Global] alone".to_owned()) };
        }
        let (key, value) = line.split_once('=').ok_or("expected a key, = and a value")?;
        let key = key.trim();
        let place = self.place(key).ok_or_else(|| unknown(key))?;
        if !*section {
            return Err(format!("{key} stands before [Global]"));
        }
        let value = unquoted(value.trim()).ok_or_else(|| format!("{key}: a quote is open"))?;
        if place.is_some() {
            return Err(format!("{key} is said twice"));
        }
        *place = (!value.is_empty()).then_some(value);
        Ok(())
    }

    /// Keys are compared without their case.
    fn place(&mut self, key: &str) -> Option<&mut Option<String>> {
        let at = KEYS.iter().position(|known| known.eq_ignore_ascii_case(key))?;
        let places = [
            &mut self.subscription_id,
            &mut self.tenant_id,
            &mut self.client_id,
            &mut self.secret,
            &mut self.resource_group,
        ];
        places.into_iter().nth(at)
    }

    fn missing(&self, (subscription, group): (bool, bool)) -> impl Iterator<Item = &'static str> {
        let ambient = self.secret.is_none();
        let missing = [
            self.subscription_id.is_none() && !subscription,
            self.tenant_id.is_none() && !ambient,
            self.client_id.is_none() && !ambient,
            false,
            self.resource_group.is_none() && !group,
        ];
        KEYS.into_iter().zip(missing).filter_map(|(key, missing)| missing.then_some(key))
    }
}

fn unknown(key: &str) -> String {
    let near = |known: &&&str| strsim::damerau_levenshtein(known, key);
    let nearest = KEYS.iter().min_by_key(near).expect("there are five keys");
    format!("{key:?} is no key here; did you mean {nearest}?")
}

/// What stands in quotes, with `\"` and `\\`; without quotes, what stands before a comment.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return Some(text.split([';', '#']).next().unwrap_or_default().trim_end().to_owned());
    };
    let (mut value, mut letters) = (String::new(), rest.chars());
    loop {
        match letters.next()? {
            '"' => return Some(value),
            '\\' => value.push(letters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "; from kubefed\n[Global]\nsubscription-id = s\ntenant-id = t\n\
                         client-id = c\nsecret = \"p;#\\\"q\" ; in quotes\nresourceGroup = g # here\n";

    #[test]
    fn all_five_are_read() {
        let some = |text: &str| Some(text.to_owned());
        let own = AzureConf {
            subscription_id: some("s"),
            tenant_id: some("t"),
            client_id: some("c"),
            secret: some("p;#\"q"),
            resource_group: some("g"),
        };
        assert_eq!(AzureConf::read(WHOLE, (false, false)), Ok(own));
    }

    #[test]
    fn each_missing_key_is_an_error_of_its_own() {
        let errors = AzureConf::read("[Global]\nsecret = x\n", (false, false)).unwrap_err();
        assert_eq!(errors.len(), 4, "{errors:?}");
        for (key, error) in
            ["subscription-id", "tenant-id", "client-id", "resourceGroup"].iter().zip(errors)
        {
            assert!(error.starts_with(&format!("{key} is missing")), "{error}");
        }
        let said = AzureConf::read("[global]\nsecret=x\ntenant-id=t\nclient-id=c", (true, true));
        assert!(said.is_ok());
        let ambient =
            AzureConf::read("[Global]\nsubscription-id=s\nresourceGroup=g", (false, false));
        assert_eq!(ambient.unwrap().tenant_id, None);
    }

    #[test]
    fn what_is_unknown_twice_or_misplaced_is_said_without_values() {
        for (text, words) in [
            (
                "[Global]\nclient_id = hush\n",
                "line 2: \"client_id\" is no key here; did you mean client-id?",
            ),
            ("[Global]\nresource-group = hush\n", "did you mean resourceGroup?"),
            ("[Global]\nsecret = hush\nSECRET = hush\n", "line 3: SECRET is said twice"),
            ("secret = hush\n", "line 1: secret stands before [Global]"),
            ("[Other]\n", "line 1: expected [Global] alone"),
            ("[Global]\nhush\n", "line 2: expected a key, = and a value"),
            ("[Global]\nsecret = \"hush\n", "line 2: secret: a quote is open"),
        ] {
            let errors = AzureConf::read(text, (true, true)).unwrap_err().join("\n");
            assert!(errors.contains(words) && !errors.contains("hush"), "{text}: {errors}");
        }
    }
}
