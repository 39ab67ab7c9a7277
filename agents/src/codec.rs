//! The gRPC codec of streams that carry audio: prost's, with less room set aside.

use std::marker::PhantomData;

use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// Room that a stream begins with in each direction, in bytes: a frame's message is some 200. tonic sets 8 KiB aside, which a
/// thousand calls would hold for nothing. A longer message gets its room when it comes.
const ROOM: usize = 1024;

/// How much is encoded before it is handed on, in bytes; tonic's own.
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
