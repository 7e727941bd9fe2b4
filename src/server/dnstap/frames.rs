//! Frame Streams, in which dnstap goes (the `fstrm` library's `control.h` defines them): each frame
//! behind its length; a length of 0 announces a control frame.

use std::io;

/// Says what a stream is, and where it begins and ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub(super) enum Control {
    /// The reader takes it.
    Accept = 1,
    Start = 2,
    Stop = 3,
    /// The writer offers it.
    Ready = 4,
    /// The reader has it all.
    Finish = 5,
}

/// What the frames hold.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";
/// The field of a control frame that says so.
const CONTENT_TYPE: u32 = 1;
/// Octets of a control frame, at most, as the library has it.
pub(super) const MOST: usize = 512;

/// Writes a frame; `write` writes what it holds.
pub(super) fn data(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or_default();
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

impl Control {
    /// The whole frame; only what offers or begins a stream names its content.
    pub(super) fn frame(self) -> Vec<u8> {
        let mut out = vec![0; 4];
        data(&mut out, |out| {
            out.extend_from_slice(&(self as u32).to_be_bytes());
            if matches!(self, Self::Ready | Self::Accept | Self::Start) {
                out.extend_from_slice(&CONTENT_TYPE.to_be_bytes());
                data(out, |out| out.extend_from_slice(CONTENT));
            }
        });
        out
    }

    /// Whether that is what a control frame says, behind its length; of [`Self::Accept`], whether
    /// our content is accepted: a reader that names none takes any.
    ///
    /// # Errors
    /// When it is none, or says something else.
    pub(super) fn expect(self, frame: &[u8]) -> io::Result<()> {
        let wrong = |text| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        let Some((about, mut rest)) = frame.split_first_chunk::<4>() else {
            return wrong("a control frame that says nothing");
        };
        if u32::from_be_bytes(*about) != self as u32 {
            return wrong("another control frame than expected");
        }
        let mut named = false;
        while let Some((field, content, more)) = field(rest) {
            named |= field == CONTENT_TYPE;
            if field == CONTENT_TYPE && content == CONTENT {
                return Ok(());
            }
            rest = more;
        }
        if named { wrong("the reader takes no dnstap") } else { Ok(()) }
    }
}

fn field(octets: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (field, rest) = octets.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (content, rest) = rest.split_at_checked(length)?;
    Some((u32::from_be_bytes(*field), content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_frames_are_as_the_library_writes_them() {
        assert_eq!(Control::Stop.frame(), [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]);
        let start = Control::Start.frame();
        assert_eq!(start[..20], [0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 22]);
        assert_eq!(&start[20..], CONTENT);
    }

    #[test]
    fn a_reader_accepts_our_content_any_or_another() {
        let accept = Control::Accept.frame();
        Control::Accept.expect(&accept[8..]).unwrap();
        Control::Accept.expect(&accept[8..12]).unwrap();
        let other = [&accept[8..20], b"something:else.entirely"].concat();
        Control::Accept.expect(&other[..accept.len() - 8]).unwrap_err();
        for wrong in [&b""[..], &[0, 0, 0], &Control::Finish.frame()[8..]] {
            Control::Accept.expect(wrong).unwrap_err();
        }
    }
}
