//! The wire format of protobuf, as far as the messages here need it: unknown fields are passed over.

/// Not the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// An integer, or a fixed-size one that nothing here reads.
    Number,
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number => Err(Malformed),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

/// Reads the fields of a message one after the other.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next field's number and value; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => {
                self.varint()?;
                Value::Number
            }
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.skip(4)?,
            // Groups are of another age; nobody sends them here.
            _ => return Err(Malformed),
        };
        if tag >> 3 == 0 { Err(Malformed) } else { Ok(Some((tag >> 3, value))) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<Value<'a>, Malformed> {
        self.take(length).map(|_| Value::Number)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(Malformed);
            }
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

pub(super) fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(u8::try_from(number & 0x7F).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    message.push(u8::try_from(number).unwrap_or(0));
}

/// An integer field. Zero is what a missing one means, and is left out.
pub(super) fn put_number(message: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        put_varint(message, field << 3);
        put_varint(message, number);
    }
}

/// A field of text, bytes or a message.
pub(super) fn put_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(message, field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_those_of_the_specification() {
        for (number, bytes) in
            [(1_u64, &[1][..]), (150, &[0x96, 1]), (300, &[0xAC, 2]), (u64::MAX, &[0xFF; 9])]
        {
            let mut message = Vec::new();
            put_varint(&mut message, number);
            assert!(message.starts_with(bytes), "{number}");
            let mut fields = Fields(&message);
            assert_eq!(fields.varint(), Ok(number));
            assert!(fields.0.is_empty());
        }
        assert_eq!(Fields(&[0xFF; 11]).varint(), Err(Malformed));
        assert_eq!(
            Fields(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2]).varint(),
            Err(Malformed)
        );
    }

    #[test]
    fn what_is_cut_or_of_another_age_is_refused() {
        for bytes in
            [&[0x0A][..], &[0x0A, 2, b'a'], &[0x08], &[0x0B], &[0x0C], &[0x02, 0], &[0x09, 0], &[0x80]]
        {
            assert_eq!(Fields(bytes).next(), Err(Malformed), "{bytes:?}");
        }
        let huge = [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        assert_eq!(Fields(&huge).next(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields(&bytes);
            let mut left = bytes.len();
            while let Ok(Some(_)) = fields.next() {
                prop_assert!(fields.0.len() < left);
                left = fields.0.len();
            }
        }
    }
}
