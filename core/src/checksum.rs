//! A checksum that shows whether two stretches of audio differ.

use std::fmt;

/// 32-bit FNV-1a, updated as bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum(u32);

impl Default for Checksum {
    fn default() -> Self {
        Self(0x811C_9DC5)
    }
}

impl Checksum {
    /// The checksum of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        sum.add(bytes);
        sum
    }

    /// Adds further bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a_and_the_same_in_pieces() {
        // Test vectors of the algorithm's authors.
        assert_eq!(Checksum::of(b"").to_string(), "#811c9dc5");
        assert_eq!(Checksum::of(b"foobar").to_string(), "#bf9cf968");
        let mut sum = Checksum::of(b"foo");
        sum.add(b"bar");
        assert_eq!(sum, Checksum::of(b"foobar"));
    }
}
