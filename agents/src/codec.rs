//! The gRPC codec of streams that carry audio: prost's, with smaller buffers. And Google's base64.

use std::marker::PhantomData;

use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// The first size of a stream's buffer in each direction, in bytes. The message of a frame has about 200. tonic
/// reserves 8 KiB, too much for a thousand calls. The buffer grows when a longer message comes.
const ROOM: usize = 1024;

/// The longest message that we accept, in bytes. tonic's default of 4 MiB is less than a long prompt in LINEAR16.
pub(super) const MAX_BYTES: usize = 32 << 20;

/// The bytes before a message: a flag, and the length in four bytes (gRPC over HTTP/2, Length-Prefixed-Message).
pub(super) const HEAD_BYTES: usize = 5;

/// base64 with padding or without: Google sends both.
pub(super) const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// base64 with the standard alphabet.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);

/// How many bytes are encoded before they are passed on; tonic's default.
const YIELD: usize = 32 * 1024;

/// Sends `T`, receives `U`.
#[derive(Debug)]
pub(super) struct LeanCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for LeanCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for LeanCodec<T, U>
where
    T: prost::Message + Send + 'static,
    U: prost::Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(ROOM, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(ROOM, YIELD))
    }
}
