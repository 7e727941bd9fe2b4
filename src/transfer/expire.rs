//! How long a copy may be used yet (EDNS EXPIRE, RFC 7314): asked for with requests of SOA and
//! transfers, told with their answers, so that a zone that came over several servers expires as if
//! each had it from the primary.

/// The option's code (§2).
pub const EXPIRE: u16 = 9;
/// An OPT (RFC 6891 §6.1.2) that takes 1232 octets, before the length of its options.
const OPT: [u8; 9] = [0, 0, 41, 4, 208, 0, 0, 0, 0];
/// An option's code and length.
const HEAD: usize = 4;

/// What an OPT is to say of EXPIRE.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Expire {
    /// Nothing.
    #[default]
    Silent,
    /// Empty: it is asked for (§2).
    Asked,
    /// So many seconds are left (§3).
    Left(u32),
}

impl Expire {
    /// What the options of an OPT say of it; the first one counts.
    pub(super) fn read(mut options: &[u8]) -> Self {
        while let Some((head, rest)) = options.split_first_chunk::<HEAD>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let Some((data, behind)) = rest.split_at_checked(length) else { break };
            if [head[0], head[1]] == EXPIRE.to_be_bytes() {
                return data
                    .first_chunk()
                    .map_or(Self::Asked, |own| Self::Left(u32::from_be_bytes(*own)));
            }
            options = behind;
        }
        Self::Silent
    }

    /// How many seconds are left, where that is said.
    #[must_use]
    pub fn left(self) -> Option<u32> {
        match self {
            Self::Left(seconds) => Some(seconds),
            Self::Silent | Self::Asked => None,
        }
    }

    /// How many octets [`append_opt`] takes.
    #[must_use]
    pub fn room(self) -> usize {
        OPT.len() + 2 + self.data().map_or(0, |data| HEAD + data.len())
    }

    fn data(self) -> Option<Vec<u8>> {
        match self {
            Self::Silent => None,
            Self::Asked => Some(Vec::new()),
            Self::Left(seconds) => Some(seconds.to_be_bytes().to_vec()),
        }
    }
}

/// Appends an OPT to a message that has none, and counts it.
pub fn append_opt(message: &mut Vec<u8>, expire: Expire) {
    message.extend_from_slice(&OPT);
    let length = |own: usize| u16::try_from(own).unwrap_or(u16::MAX).to_be_bytes();
    match expire.data() {
        None => message.extend_from_slice(&[0, 0]),
        Some(data) => {
            message.extend_from_slice(&length(HEAD + data.len()));
            message.extend_from_slice(&EXPIRE.to_be_bytes());
            message.extend_from_slice(&length(data.len()));
            message.extend_from_slice(&data);
        }
    }
    if let Some(count) = message.get_mut(10..12) {
        let next = u16::from_be_bytes([count[0], count[1]]).saturating_add(1);
        count.copy_from_slice(&next.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read_and_takes_its_room() {
        for own in [Expire::Silent, Expire::Asked, Expire::Left(7), Expire::Left(u32::MAX)] {
            let mut message = vec![0; 12];
            append_opt(&mut message, own);
            assert_eq!((message.len() - 12, message[11]), (own.room(), 1));
            assert_eq!(Expire::read(&message[12 + 11..]), own);
        }
    }

    #[test]
    fn other_options_are_passed_by_and_broken_ones_say_nothing() {
        assert_eq!(Expire::read(&[0, 3, 0, 1, 7, 0, 9, 0, 4, 0, 0, 1, 0]), Expire::Left(256));
        assert_eq!(Expire::read(&[0, 9, 0, 2, 1, 1]), Expire::Asked);
        for broken in [&[0, 9][..], &[0, 9, 0, 4, 1], &[0, 3, 255, 255, 0, 9, 0, 0]] {
            assert_eq!(Expire::read(broken), Expire::Silent);
        }
    }
}
