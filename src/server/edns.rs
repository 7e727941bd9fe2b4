//! Reads what an OPT record says (RFC 6891 §6.1) and the options that we know: the network that a
//! query speaks for (RFC 7871 §6), which is also written here, cookies (RFC 7873), the name server's
//! name (RFC 5001), expire (RFC 7314), keepalive (RFC 7828) and padding (RFC 7830).

use super::{
    cookies::Cookie,
    opt::{COOKIE, EXPIRE, KEEPALIVE, NSID, PADDING},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What an OPT record says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edns<'p> {
    pub(super) udp_size: u16,
    pub(super) version: u8,
    pub(super) dnssec_ok: bool,
    /// CO (RFC 9824 §5.1).
    pub(super) compact_ok: bool,
    /// Also `None` where it was not to be heeded, or not understood.
    pub(super) subnet: Option<Subnet<'p>>,
    /// The first one; others say nothing (RFC 7873 §5.2).
    pub(super) cookie: Option<Cookie<'p>>,
    /// Asked for, whatever the option holds (RFC 5001 §2.1).
    pub(super) nsid: bool,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) padding: bool,
    /// Asked for (RFC 7314 §2).
    pub(super) expire: bool,
    /// The options are against their format: FORMERR.
    pub(super) malformed: bool,
}

impl<'p> Edns<'p> {
    /// That says nothing but how large an answer may be.
    pub(super) fn bare(udp_size: u16) -> Self {
        Self {
            udp_size,
            version: 0,
            dnssec_ok: false,
            compact_ok: false,
            subnet: None,
            cookie: None,
            nsid: false,
            keepalive: None,
            padding: false,
            expire: false,
            malformed: false,
        }
    }

    /// From the octets behind the record's owner (type to length) and its data; a client subnet
    /// that is not to be heeded is ignored, as are all options that we do not know
    /// (RFC 6891 §6.1.2).
    pub(super) fn read(fixed: &[u8; 10], options: &'p [u8], client_subnet: bool) -> Self {
        let [_, _, high, low, _, version, flags, ..] = *fixed;
        // A later version may write its options in another form, and gets BADVERS for it.
        let options = if version == 0 { options } else { &[] };
        let bare = Self {
            version,
            dnssec_ok: flags & 0x80 != 0,
            compact_ok: flags & 0x40 != 0,
            ..Self::bare(u16::from_be_bytes([high, low]))
        };
        let mut read = bare;
        match read.read_options(options, client_subnet) {
            Ok(()) => read,
            Err(Malformed) => Self { malformed: true, ..bare },
        }
    }

    fn read_options(&mut self, mut rest: &'p [u8], client_subnet: bool) -> Result<(), Malformed> {
        while !rest.is_empty() {
            let (head, tail) = rest.split_first_chunk::<OPTION_HEAD>().ok_or(Malformed)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (data, behind) = tail.split_at_checked(length).ok_or(Malformed)?;
            rest = behind;
            self.read_option(u16::from_be_bytes([head[0], head[1]]), data, client_subnet)?;
        }
        Ok(())
    }

    fn read_option(
        &mut self,
        code: u16,
        data: &'p [u8],
        client_subnet: bool,
    ) -> Result<(), Malformed> {
        match code {
            CLIENT_SUBNET if client_subnet => self.take_subnet(data)?,
            COOKIE if self.cookie.is_none() => {
                self.cookie = Some(Cookie::read(data).ok_or(Malformed)?);
            }
            NSID => self.nsid = true,
            KEEPALIVE if data.is_empty() => {
                self.keepalive.get_or_insert(Keepalive::Asked);
            }
            KEEPALIVE => self.keepalive = Some(Keepalive::Malformed),
            PADDING => self.padding = true,
            EXPIRE => self.expire = true,
            _ => {}
        }
        Ok(())
    }

    fn take_subnet(&mut self, data: &'p [u8]) -> Result<(), Malformed> {
        let before = self.subnet.replace(Subnet::read(data)?);
        // Nothing says which of two would count.
        if before.is_some() { Err(Malformed) } else { Ok(()) }
    }
}

/// A keepalive option as a query had it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keepalive {
    /// Empty, as a client writes it (RFC 7828 §3.1).
    Asked,
    /// An error where the option means something, and nothing over UDP, where it is ignored (§3.3.1).
    Malformed,
}

/// A client subnet as a query had it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subnet<'p> {
    /// Of length 0 where the client asks that no network be looked at, in any family.
    pub(super) network: IpNet,
    /// FAMILY to ADDRESS, to be echoed: a resolver takes no answer that has them otherwise.
    octets: &'p [u8],
}

impl<'p> Subnet<'p> {
    fn read(octets: &'p [u8]) -> Result<Self, Malformed> {
        let (head, address) = octets.split_first_chunk::<4>().ok_or(Malformed)?;
        let [high, low, source, scope] = *head;
        let network: IpNet = match u16::from_be_bytes([high, low]) {
            // No family, no network: some clients write "do not look" so.
            0 if source == 0 => Ipv4Net::default().into(),
            1 => v4(address, source)?.into(),
            2 => v6(address, source)?.into(),
            _ => return Err(Malformed),
        };
        let exact = address.len() == usize::from(source.div_ceil(8));
        let rest_is_zero = network.addr() == network.network();
        // The scope is for answers to fill in (§6).
        let read = Self { network, octets };
        if exact && rest_is_zero && scope == 0 { Ok(read) } else { Err(Malformed) }
    }

    /// How many octets [`Self::write`] takes.
    pub(super) fn room(&self) -> usize {
        OPTION_HEAD + self.octets.len()
    }

    /// Writes the option of an answer that was made for `scope` bits: no more than an address of
    /// the family has, and none where no network was to be looked at.
    pub(super) fn write(&self, scope: u8, out: &mut Vec<u8>) {
        let most = if self.network.prefix_len() == 0 { 0 } else { self.network.max_prefix_len() };
        let length = u16::try_from(self.octets.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&CLIENT_SUBNET.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        let at = out.len();
        out.extend_from_slice(self.octets);
        out[at + SCOPE] = scope.min(most);
    }
}

/// Something in the options is not as it must be.
#[derive(Debug)]
struct Malformed;

fn v4(address: &[u8], source: u8) -> Result<Ipv4Net, Malformed> {
    Ipv4Net::new(padded::<4>(address)?.into(), source).map_err(|_| Malformed)
}

fn v6(address: &[u8], source: u8) -> Result<Ipv6Net, Malformed> {
    Ipv6Net::new(padded::<16>(address)?.into(), source).map_err(|_| Malformed)
}

/// An address whose last octets were left out.
fn padded<const N: usize>(octets: &[u8]) -> Result<[u8; N], Malformed> {
    let mut whole = [0; N];
    whole.get_mut(..octets.len()).ok_or(Malformed)?.copy_from_slice(octets);
    Ok(whole)
}

/// The option's code (RFC 7871 §6).
const CLIENT_SUBNET: u16 = 8;
/// An option's code and length (RFC 6891 §6.1.2).
pub(super) const OPTION_HEAD: usize = 4;
/// Where the scope stands: behind FAMILY and SOURCE PREFIX-LENGTH.
const SCOPE: usize = 3;
