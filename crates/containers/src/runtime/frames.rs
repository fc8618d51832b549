//! The stream of an exec's output: frames of one byte for the stream, three of zero, four of length, then data.

use bytes::{Buf as _, Bytes, BytesMut};

/// Which stream a piece of output belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Takes frames apart as their bytes arrive. A frame of any length takes no more memory than what has arrived.
#[derive(Debug, Default)]
pub(super) struct Frames {
    waiting: BytesMut,
    /// The stream and the rest of the frame that is under way.
    open: Option<(Output, usize)>,
}

/// The bytes are not frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFrames;

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next piece of output that has arrived.
    pub(super) fn next(&mut self) -> Result<Option<(Output, Bytes)>, NotFrames> {
        loop {
            let Some((output, left)) = self.open else {
                let Some(head) = self.waiting.first_chunk::<8>() else { return Ok(None) };
                let output = match head {
                    [0 | 1, 0, 0, 0, ..] => Output::Out,
                    [2, 0, 0, 0, ..] => Output::Err,
                    _ => return Err(NotFrames),
                };
                let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                self.waiting.advance(8);
                self.open = Some((output, usize::try_from(length).map_err(|_| NotFrames)?));
                continue;
            };
            if left == 0 {
                self.open = None;
                continue;
            }
            if self.waiting.is_empty() {
                return Ok(None);
            }
            let piece = self.waiting.split_to(left.min(self.waiting.len())).freeze();
            self.open = Some((output, left - piece.len()));
            return Ok(Some((output, piece)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn output_is_the_same_however_its_bytes_arrive() {
        let bytes = [frame(1, "hello "), frame(2, "oops"), frame(1, ""), frame(1, "world")].concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.push(piece);
                while let Some((output, piece)) = frames.next().unwrap() {
                    if output == Output::Out { &mut out } else { &mut err }.extend(piece);
                }
            }
            assert_eq!((out.as_slice(), err.as_slice()), (&b"hello world"[..], &b"oops"[..]), "{size}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let mut frames = Frames::default();
        frames.push(b"HTTP/1.1 200 OK");
        assert_eq!(frames.next(), Err(NotFrames));
    }
}
