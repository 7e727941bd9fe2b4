//! The certificate that clients are shown, read again from its files while the server runs.

use arc_swap::ArcSwap;
use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A certificate chain and its key, from two PEM files.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    shown: ArcSwap<CertifiedKey>,
    read: Mutex<Contents>,
}

/// What both files held.
#[derive(Debug, Default, Eq, PartialEq)]
struct Contents {
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// What came of looking at the files again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refreshed {
    /// They are as they were.
    Same,
    /// New connections are shown the new certificate.
    Replaced,
}

/// A pair of files that cannot be shown to clients.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// One cannot be read.
    #[error("{flag} {}: {source}; expected a readable file in PEM form", file.display())]
    Unread {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// One holds something else.
    #[error("{flag} {}: {why}; expected {expected}", file.display())]
    Unfit {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong.
        why: String,
    },
    /// They do not belong together.
    #[error(
        "--dns-tls-cert {} and --dns-tls-key {} do not belong together ({why}); expected the key \
         of the file's first certificate", chain.display(), key.display()
    )]
    Strangers {
        /// The certificates' file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        why: rustls::Error,
    },
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// Names the file, and what was expected of it.
    pub fn read(chain: PathBuf, key: PathBuf) -> Result<Arc<Self>, BadCertificate> {
        let contents = Contents::read(&chain, &key)?;
        let shown = ArcSwap::from_pointee(contents.certified(&chain, &key)?);
        Ok(Arc::new(Self { chain, key, shown, read: Mutex::new(contents) }))
    }

    /// Looks at the files again; where they cannot be used, the certificate that was shown stays.
    ///
    /// # Errors
    /// Names the file, and what was expected of it.
    pub fn refresh(&self) -> Result<Refreshed, BadCertificate> {
        let contents = Contents::read(&self.chain, &self.key)?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *read == contents {
            return Ok(Refreshed::Same);
        }
        self.shown.store(Arc::new(contents.certified(&self.chain, &self.key)?));
        *read = contents;
        Ok(Refreshed::Replaced)
    }

    /// Where the certificates are.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.chain
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

impl Contents {
    fn read(chain: &Path, key: &Path) -> Result<Self, BadCertificate> {
        let read = |flag, file: &Path| {
            let unread = |source| BadCertificate::Unread { flag, file: file.to_owned(), source };
            fs::read(file).map_err(unread)
        };
        Ok(Self { chain: read(CERT, chain)?, key: read(KEY, key)? })
    }

    fn certified(&self, chain: &Path, key: &Path) -> Result<CertifiedKey, BadCertificate> {
        let unfit = |flag, file: &Path, expected, why: String| BadCertificate::Unfit {
            flag,
            file: file.to_owned(),
            expected,
            why,
        };
        let chains = "certificates in PEM form, the server's own first";
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<_, pem::Error>>()
            .map_err(|why| unfit(CERT, chain, chains, why.to_string()))?;
        if certificates.is_empty() {
            return Err(unfit(CERT, chain, chains, "holds no certificate".into()));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|why| unfit(KEY, key, "one private key in PEM form", why.to_string()))?;
        CertifiedKey::from_der(certificates, private, &provider()).map_err(|why| {
            BadCertificate::Strangers { chain: chain.to_owned(), key: key.to_owned(), why }
        })
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

const CERT: &str = "--dns-tls-cert";
const KEY: &str = "--dns-tls-key";

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Writes a new pair; the certificate.
        fn write(&self) -> Vec<u8> {
            let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
            fs::write(self.path("tls.crt"), made.cert.pem()).unwrap();
            fs::write(self.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
            made.cert.der().to_vec()
        }

        fn read(&self) -> Result<Arc<Certificate>, BadCertificate> {
            Certificate::read(self.path("tls.crt"), self.path("tls.key"))
        }
    }

    fn shown(certificate: &Certificate) -> Vec<u8> {
        certificate.shown.load().cert[0].to_vec()
    }

    #[test]
    fn files_that_change_are_shown_from_then_on() {
        let files = Files::new();
        let first = files.write();
        let certificate = files.read().unwrap();
        assert_eq!(shown(&certificate), first);
        assert_eq!(certificate.refresh().unwrap(), Refreshed::Same);
        let second = files.write();
        assert_eq!(certificate.refresh().unwrap(), Refreshed::Replaced);
        assert_eq!(shown(&certificate), second);
    }

    #[test]
    fn a_bad_pair_keeps_the_old_one_until_it_is_mended() {
        let files = Files::new();
        let first = files.write();
        let certificate = files.read().unwrap();
        let key = fs::read(files.path("tls.key")).unwrap();
        let second = files.write();
        fs::write(files.path("tls.key"), key).unwrap();
        let error = certificate.refresh().unwrap_err().to_string();
        assert!(error.contains("tls.crt") && error.contains("do not belong together"), "{error}");
        certificate.refresh().unwrap_err();
        assert_eq!(shown(&certificate), first);
        assert_ne!(first, second);
        let third = files.write();
        assert_eq!(certificate.refresh().unwrap(), Refreshed::Replaced);
        assert_eq!(shown(&certificate), third);
    }

    #[test]
    fn what_is_wrong_names_the_flag_the_file_and_what_was_expected() {
        let files = Files::new();
        files.write();
        fs::write(files.path("tls.crt"), "no certificate").unwrap();
        let error = files.read().unwrap_err().to_string();
        assert!(
            error.contains("--dns-tls-cert") && error.contains("holds no certificate"),
            "{error}"
        );
        files.write();
        fs::write(files.path("tls.key"), "no key").unwrap();
        let error = files.read().unwrap_err().to_string();
        assert!(error.contains("--dns-tls-key") && error.contains("one private key"), "{error}");
        fs::remove_file(files.path("tls.key")).unwrap();
        let error = files.read().unwrap_err().to_string();
        assert!(error.contains("--dns-tls-key") && error.contains("readable file"), "{error}");
    }
}
