//! G.711 companding: mu-law and A-law, both ways.
//!
//! Linear samples are `i16` with the scale that telephony uses throughout: G.711's 14-bit mu-law values times 4 (peaks
//! at ±32124) and its 13-bit A-law values times 8 (peaks at ±32256).
//!
//! G.711 does not say to which interval a sample on a decision value belongs. Here it belongs to the upper one, towards
//! positive infinity, for both signs: 4 is a decision value of mu-law and gives the code of 8, while -4 gives the code
//! of -0. The coders of the ITU-T's software tool library (G.191) do the same, because they take a negative sample's
//! magnitude by ones' complement. `sox` first rounds to 14 or 13 bits, so it differs for samples within 2 (mu-law) or 4
//! (A-law) of a decision value.

/// A table with the value of a constant function for each code.
macro_rules! for_each_code {
    ($function:expr) => {{
        let mut table = [0; 256];
        let mut code = 0_u8;
        loop {
            table[code as usize] = $function(code);
            if code == u8::MAX {
                break table;
            }
            code += 1;
        }
    }};
}

static MULAW_TO_LINEAR: [i16; 256] = for_each_code!(expand_mulaw);
static MULAW_MAGNITUDE: [u16; 256] = for_each_code!(expand_magnitude);
static ALAW_TO_LINEAR: [i16; 256] = for_each_code!(expand_alaw);
static ALAW_TO_MULAW: [u8; 256] = for_each_code!(recode_alaw);

/// Decodes one mu-law byte (ITU-T G.711 tables 2a and 2b, output values times 4).
///
/// Both zeros, 0xFF and 0x7F, give 0.
#[inline]
pub const fn mulaw_to_linear(mulaw: u8) -> i16 {
    MULAW_TO_LINEAR[mulaw as usize]
}

/// The magnitude of what [`mulaw_to_linear`] returns.
#[inline]
pub const fn mulaw_magnitude(mulaw: u8) -> u16 {
    MULAW_MAGNITUDE[mulaw as usize]
}

/// Encodes one sample as mu-law (ITU-T G.711 tables 2a and 2b, decision values times 4).
///
/// It is the inverse of [`mulaw_to_linear`], except that 0x7F (negative zero) comes back as 0xFF. Samples beyond
/// ±32636, the recommendation's virtual decision value, get the code of the peak. 0x7F is the code of -4 to -1.
#[inline]
pub const fn linear_to_mulaw(sample: i16) -> u8 {
    let sign = sample >> 15;
    // In units of 14 bits and above the bias, segment s covers 32 << s to 64 << s in steps of 2 << s.
    let biased = min(((sample ^ sign) >> 2) + 33, 8191);
    // Within its segment, each segment's straight line lies below all others, so their minimum is the code. With
    // constant shifts and no table this runs on eight samples at once. (A table of 16 KiB takes two thirds of the time
    // while it is in the cache, and it takes half of the cache.)
    let mut code = (biased >> 1) - 16;
    code = min(code, biased >> 2);
    code = min(code, (biased >> 3) + 16);
    code = min(code, (biased >> 4) + 32);
    code = min(code, (biased >> 5) + 48);
    code = min(code, (biased >> 6) + 64);
    code = min(code, (biased >> 7) + 80);
    code = min(code, (biased >> 8) + 96);
    !low_byte(code | (sign & 0x80))
}

/// Decodes one A-law byte (ITU-T G.711 tables 1a and 1b, output values times 8).
#[inline]
pub const fn alaw_to_linear(alaw: u8) -> i16 {
    ALAW_TO_LINEAR[alaw as usize]
}

/// Encodes one sample as A-law (ITU-T G.711 tables 1a and 1b, decision values times 8).
///
/// It is the inverse of [`alaw_to_linear`] for every byte.
#[inline]
pub const fn linear_to_alaw(sample: i16) -> u8 {
    let sign = sample >> 15;
    // In units of 12 bits, segment s covers 16 << s to 32 << s in steps of 1 << s; the first also covers 0 to 16.
    let magnitude = (sample ^ sign) >> 4;
    let mut code = magnitude;
    code = min(code, (magnitude >> 1) + 16);
    code = min(code, (magnitude >> 2) + 32);
    code = min(code, (magnitude >> 3) + 48);
    code = min(code, (magnitude >> 4) + 64);
    code = min(code, (magnitude >> 5) + 80);
    code = min(code, (magnitude >> 6) + 96);
    // G.711 table 1a, note 2: the even bits are sent inverted; bit 8 is set for positive values.
    low_byte(code | (!sign & 0x80)) ^ 0x55
}

/// Recodes one A-law byte as mu-law, by way of its linear value.
///
/// The recommendation's own conversion (table 4) may choose the other one of two neighbouring codes.
#[inline]
pub const fn alaw_to_mulaw(alaw: u8) -> u8 {
    ALAW_TO_MULAW[alaw as usize]
}

/// Decodes mu-law bytes and appends one sample for each.
pub fn decode_mulaw(mulaw: &[u8], out: &mut Vec<i16>) {
    out.extend(mulaw.iter().map(|&code| mulaw_to_linear(code)));
}

/// Encodes samples as mu-law and appends one byte for each.
pub fn encode_mulaw(samples: &[i16], out: &mut Vec<u8>) {
    out.extend(samples.iter().map(|&sample| linear_to_mulaw(sample)));
}

/// Decodes A-law bytes and appends one sample for each.
pub fn decode_alaw(alaw: &[u8], out: &mut Vec<i16>) {
    out.extend(alaw.iter().map(|&code| alaw_to_linear(code)));
}

/// Encodes samples as A-law and appends one byte for each.
pub fn encode_alaw(samples: &[i16], out: &mut Vec<u8>) {
    out.extend(samples.iter().map(|&sample| linear_to_alaw(sample)));
}

/// Recodes A-law bytes as mu-law and appends one byte for each.
pub fn recode_alaw_as_mulaw(alaw: &[u8], out: &mut Vec<u8>) {
    out.extend(alaw.iter().map(|&code| alaw_to_mulaw(code)));
}

const fn expand_mulaw(code: u8) -> i16 {
    let inverted = !code;
    let (segment, step) = ((inverted >> 4) & 7, (inverted & 15) as i16);
    let magnitude = (((2 * step + 33) << segment) - 33) << 2;
    if inverted & 0x80 == 0 { magnitude } else { -magnitude }
}

const fn expand_magnitude(code: u8) -> u16 {
    expand_mulaw(code).unsigned_abs()
}

const fn expand_alaw(code: u8) -> i16 {
    let upright = code ^ 0x55;
    let (segment, step) = ((upright >> 4) & 7, (upright & 15) as i16);
    let magnitude = match segment {
        0 => 2 * step + 1,
        _ => (2 * step + 33) << (segment - 1),
    } << 3;
    if upright & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn recode_alaw(code: u8) -> u8 {
    linear_to_mulaw(expand_alaw(code))
}

const fn min(a: i16, b: i16) -> i16 {
    if a < b { a } else { b }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a code is 0 to 255")]
const fn low_byte(code: i16) -> u8 {
    code as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decision values x(0) to x(128) of ITU-T G.711 table 2a, column 4: interval n is x(n) to x(n + 1), and its
    /// character signal is 1 followed by the inverted bits of n.
    #[rustfmt::skip]
    const MULAW_DECISIONS: [i32; 129] = [
        0,
        1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
        35, 39, 43, 47, 51, 55, 59, 63, 67, 71, 75, 79, 83, 87, 91, 95,
        103, 111, 119, 127, 135, 143, 151, 159, 167, 175, 183, 191, 199, 207, 215, 223,
        239, 255, 271, 287, 303, 319, 335, 351, 367, 383, 399, 415, 431, 447, 463, 479,
        511, 543, 575, 607, 639, 671, 703, 735, 767, 799, 831, 863, 895, 927, 959, 991,
        1055, 1119, 1183, 1247, 1311, 1375, 1439, 1503, 1567, 1631, 1695, 1759, 1823, 1887, 1951, 2015,
        2143, 2271, 2399, 2527, 2655, 2783, 2911, 3039, 3167, 3295, 3423, 3551, 3679, 3807, 3935, 4063,
        4319, 4575, 4831, 5087, 5343, 5599, 5855, 6111, 6367, 6623, 6879, 7135, 7391, 7647, 7903, 8159,
    ];

    /// The decision values x(0) to x(128) of ITU-T G.711 table 1a, column 4: interval n is x(n) to x(n + 1), and its
    /// character signal is 1 followed by the bits of n, before the even bits are inverted.
    #[rustfmt::skip]
    const ALAW_DECISIONS: [i32; 129] = [
        0,
        2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32,
        34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62, 64,
        68, 72, 76, 80, 84, 88, 92, 96, 100, 104, 108, 112, 116, 120, 124, 128,
        136, 144, 152, 160, 168, 176, 184, 192, 200, 208, 216, 224, 232, 240, 248, 256,
        272, 288, 304, 320, 336, 352, 368, 384, 400, 416, 432, 448, 464, 480, 496, 512,
        544, 576, 608, 640, 672, 704, 736, 768, 800, 832, 864, 896, 928, 960, 992, 1024,
        1088, 1152, 1216, 1280, 1344, 1408, 1472, 1536, 1600, 1664, 1728, 1792, 1856, 1920, 1984, 2048,
        2176, 2304, 2432, 2560, 2688, 2816, 2944, 3072, 3200, 3328, 3456, 3584, 3712, 3840, 3968, 4096,
    ];

    /// One unit of the tables, in 16-bit samples.
    const MULAW_UNIT: i32 = 4;
    const ALAW_UNIT: i32 = 8;

    /// The interval of a sample. A sample on a decision value belongs to the upper one.
    fn interval(sample: i16, decisions: &[i32; 129], unit: i32) -> usize {
        let sample = i32::from(sample);
        let passed = |decision: &i32| if sample >= 0 { decision * unit <= sample } else { decision * unit < -sample };
        decisions[1..128].iter().filter(|decision| passed(decision)).count()
    }

    fn signed(positive: bool, magnitude: i32) -> i16 {
        i16::try_from(if positive { magnitude } else { -magnitude }).unwrap()
    }

    #[test]
    fn a_magnitude_is_the_sample_without_its_sign() {
        for code in 0..=u8::MAX {
            assert_eq!(mulaw_magnitude(code), mulaw_to_linear(code).unsigned_abs());
        }
    }

    #[test]
    fn every_mulaw_code_gives_its_output_value() {
        for code in 0..=u8::MAX {
            let n = usize::from(!code & 0x7F);
            // Output values lie in the middle of their interval, except that the first of mu-law is 0.
            let output = if n == 0 { 0 } else { (MULAW_DECISIONS[n] + MULAW_DECISIONS[n + 1]) * MULAW_UNIT / 2 };
            assert_eq!(mulaw_to_linear(code), signed(code >= 0x80, output), "{code:#04x}");
        }
        assert_eq!((mulaw_to_linear(0x80), mulaw_to_linear(0x00)), (32124, -32124));
    }

    #[test]
    fn every_alaw_code_gives_its_output_value() {
        for code in 0..=u8::MAX {
            let n = usize::from((code ^ 0b0101_0101) & 0x7F);
            let output = (ALAW_DECISIONS[n] + ALAW_DECISIONS[n + 1]) * ALAW_UNIT / 2;
            assert_eq!(alaw_to_linear(code), signed(code >= 0x80, output), "{code:#04x}");
        }
        assert_eq!((alaw_to_linear(0xAA), alaw_to_linear(0x2A)), (32256, -32256));
    }

    #[test]
    fn every_sample_gets_the_mulaw_code_of_its_interval() {
        for sample in i16::MIN..=i16::MAX {
            let n = u8::try_from(interval(sample, &MULAW_DECISIONS, MULAW_UNIT)).unwrap();
            let code = if sample >= 0 { 0xFF - n } else { 0x7F - n };
            assert_eq!(linear_to_mulaw(sample), code, "{sample}");
        }
    }

    #[test]
    fn every_sample_gets_the_alaw_code_of_its_interval() {
        for sample in i16::MIN..=i16::MAX {
            let n = u8::try_from(interval(sample, &ALAW_DECISIONS, ALAW_UNIT)).unwrap();
            let code = if sample >= 0 { 0x80 + n } else { n } ^ 0b0101_0101;
            assert_eq!(linear_to_alaw(sample), code, "{sample}");
        }
    }

    #[test]
    fn a_sample_on_a_decision_value_belongs_to_the_upper_interval() {
        assert_eq!((linear_to_mulaw(4), linear_to_mulaw(3)), (0xFE, 0xFF));
        assert_eq!((linear_to_mulaw(-4), linear_to_mulaw(-5)), (0x7F, 0x7E));
        assert_eq!((linear_to_mulaw(0), linear_to_mulaw(-1)), (0xFF, 0x7F));
        assert_eq!((linear_to_alaw(16), linear_to_alaw(15)), (0xD4, 0xD5));
        assert_eq!((linear_to_alaw(-16), linear_to_alaw(-17)), (0x55, 0x54));
        assert_eq!((linear_to_alaw(0), linear_to_alaw(-1)), (0xD5, 0x55));
    }

    #[test]
    fn decoding_then_encoding_is_the_identity_but_for_negative_zero() {
        for code in 0..=u8::MAX {
            let again = linear_to_mulaw(mulaw_to_linear(code));
            assert_eq!(again, if code == 0x7F { 0xFF } else { code });
            assert_eq!(linear_to_alaw(alaw_to_linear(code)), code);
        }
    }

    #[test]
    fn alaw_becomes_mulaw_by_way_of_its_linear_value() {
        for code in 0..=u8::MAX {
            assert_eq!(alaw_to_mulaw(code), linear_to_mulaw(alaw_to_linear(code)));
        }
    }

    #[test]
    fn slices_are_appended_code_by_code() {
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        let (mut linear, mut mulaw, mut alaw) = (vec![7], vec![7], vec![7]);
        decode_mulaw(&codes, &mut linear);
        decode_alaw(&codes, &mut linear);
        assert_eq!(linear.len(), 513);
        encode_mulaw(&linear[1..257], &mut mulaw);
        encode_alaw(&linear[257..], &mut alaw);
        assert_eq!((mulaw[0], mulaw[1], mulaw[128], mulaw[256]), (7, 0, 0xFF, 0xFF));
        assert_eq!(alaw[1..], codes);
        let mut recoded = vec![7];
        recode_alaw_as_mulaw(&codes, &mut recoded);
        assert_eq!((recoded[0], recoded.len(), recoded[1 + 0xD5]), (7, 257, alaw_to_mulaw(0xD5)));
    }
}
