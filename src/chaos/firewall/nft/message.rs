//! Messages of nfnetlink and nf_tables, as the kernel's `nf_tables.h` numbers them: attributes,
//! batches, and what answers hold. Numbers within attributes are big-endian.

/// The subsystem of nf_tables.
const NFTABLES: u16 = 10;
/// The family `inet`: both IPv4 and IPv6.
const FAMILY_INET: u8 = 1;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Type of an answer that acknowledges or refuses.
const ERROR: u16 = 2;
/// Type of the last message of a listing.
const DONE: u16 = 3;
const HEADER_BYTES: usize = 16;
/// Netlink's header and that of nfnetlink.
const HEADERS_BYTES: usize = HEADER_BYTES + 4;

/// Flag of every request.
const REQUEST: u16 = 1;
/// The kernel is to answer whether it worked.
const ACKNOWLEDGE: u16 = 4;
/// What is made must not be there yet.
pub const EXCLUSIVE: u16 = 0x200;
/// What is not there is made.
pub const CREATE: u16 = 0x400;
/// Goes to the end of its list.
pub const APPEND: u16 = 0x800;
/// Everything is asked for, not one thing.
pub const DUMP: u16 = 0x300;

/// What is asked of nf_tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NewTable = 0,
    GetTable = 1,
    DeleteTable = 2,
    NewChain = 3,
    NewRule = 6,
    GetRule = 7,
    NewSet = 9,
    NewElements = 12,
}

/// Attributes that are being put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds bytes.
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = 4 + value.len();
        self.0.extend((length as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a name.
    pub fn name(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Adds a number of 32 bits.
    pub fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds a number of 64 bits.
    pub fn long(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds attributes within an attribute.
    pub fn nested(self, kind: u16, inner: Self) -> Self {
        const NESTED: u16 = 0x8000;
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// One request.
pub fn request(kind: Kind, flags: u16, sequence: u32, attributes: &Attributes) -> Vec<u8> {
    let kind = NFTABLES << 8 | kind as u16;
    message(kind, REQUEST | flags, sequence, FAMILY_INET, 0, &attributes.0)
}

/// Requests that the kernel takes all or none; each is acknowledged.
pub fn batch(requests: &[(Kind, u16, Attributes)]) -> Vec<u8> {
    let mut bytes = message(BATCH_BEGIN, REQUEST, 0, 0, NFTABLES, &[]);
    for (at, (kind, flags, attributes)) in requests.iter().enumerate() {
        bytes.extend(request(*kind, *flags | ACKNOWLEDGE, at as u32 + 1, attributes));
    }
    bytes.extend(message(BATCH_END, REQUEST, requests.len() as u32 + 1, 0, NFTABLES, &[]));
    bytes
}

fn message(
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
    payload: &[u8],
) -> Vec<u8> {
    let length = (HEADERS_BYTES + payload.len()) as u32;
    let mut bytes = Vec::with_capacity(length as usize);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// What the kernel answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A request was taken (0) or refused (an error number).
    Acknowledged(i32),
    /// The listing is complete.
    Done,
    /// One thing of a listing: its attributes.
    Item(Vec<u8>),
}

/// The answers in what was read; whatever is torn or strange ends them.
pub fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut found = Vec::new();
    while bytes.len() >= HEADER_BYTES {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        let Some(body) = bytes.get(HEADER_BYTES..length) else { break };
        found.push(match (kind, body.first_chunk::<4>()) {
            (ERROR, Some(code)) => Answer::Acknowledged(i32::from_ne_bytes(*code).saturating_neg()),
            (DONE, _) => Answer::Done,
            (_, Some(_)) => Answer::Item(body[4..].to_vec()),
            (_, None) => break,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The attributes of an item, with their numbers.
pub fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    const KIND: u16 = 0x3fff;
    let mut found = Vec::new();
    while let [l0, l1, k0, k1, ..] = *bytes {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(value) = bytes.get(4..length) else { break };
        found.push((u16::from_ne_bytes([k0, k1]) & KIND, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The value of the first attribute of this kind.
pub fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).into_iter().find(|(of, _)| *of == kind).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let inner = Attributes::default().number(2, 7).name(1, "abc");
        let outer = Attributes::default().nested(4, inner).long(9, 1 << 40);
        let read = attributes(&outer.0);
        assert_eq!(read.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [4, 9]);
        assert_eq!(find(read[0].1, 2), Some(&7_u32.to_be_bytes()[..]));
        assert_eq!(find(read[0].1, 1), Some(&b"abc\0"[..]));
        assert_eq!(find(&outer.0, 9), Some(&(1_u64 << 40).to_be_bytes()[..]));
    }

    #[test]
    fn answers_are_told_apart_and_torn_ones_end_them() {
        let mut bytes = message(ERROR, 0, 1, 0, 0, &[]);
        bytes[HEADER_BYTES..].copy_from_slice(&(-17_i32).to_ne_bytes());
        bytes.extend(message(0x0a06, 2, 1, 1, 0, &[1, 2, 3, 4]));
        bytes.extend(message(DONE, 2, 1, 0, 0, &[]));
        let whole = answers(&bytes);
        assert_eq!(whole, [Answer::Acknowledged(17), Answer::Item(vec![1, 2, 3, 4]), Answer::Done]);
        for cut in 0..bytes.len() {
            assert!(answers(&bytes[..cut]).len() < 3, "at {cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_brings_it_down(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            for answer in answers(&bytes) {
                if let Answer::Item(item) = answer {
                    attributes(&item);
                }
            }
        }
    }
}
