use data_encoding::HEXLOWER;

use super::{Coding, Decoder, Encoder, Fault, Limits, accepted};

const PLAIN: &str =
    r#"[{"id": 1, "email": "anna@example.org"}, {"id": 2, "email": "ben@example.org"}]"#;

/// [`PLAIN`], packed by Python's `gzip` and `zlib` (with and without a wrapper), `brotli` and
/// `zstandard` (with a checksum).
const PACKED: [(Coding, &str); 5] = [
    (
        Coding::Gzip,
        "1f8b08000000000002038bae56ca4c51b25230d451504acd4dcccc01b29512f3f2121d522b12730b7252f5f28bd2956a\
         7514a0ea8c90d525a5e6a12a8b0500bdbaa4434f000000",
    ),
    (
        Coding::Deflate,
        "789c8bae56ca4c51b25230d451504acd4dcccc01b29512f3f2121d522b12730b7252f5f28bd2956a7514a0ea8c90d525\
         a5e6a12a8b0500b93818b1",
    ),
    (
        Coding::Deflate,
        "8bae56ca4c51b25230d451504acd4dcccc01b29512f3f2121d522b12730b7252f5f28bd2956a7514a0ea8c90d525a5e6\
         a12a8b0500",
    ),
    (
        Coding::Brotli,
        "1b4e00f82c8b77a03b9153ac4879f9ac98cfc1d72c5b5d65522446a645c2c4dc54da5ee9f40548ba9101c1069c73aae3\
         e20b4eb2f14de086a046ae192128b4a5fa868847c301",
    ),
    (
        Coding::Zstd,
        "28b52ffd244fd50100e4025b7b226964223a20312c2022656d61696c223a2022616e6e61406578616d706c652e6f7267\
         227d2c203262656e5d03004ac903f8cdca5419170e88f6",
    ),
];

fn packed() -> impl Iterator<Item = (Coding, Vec<u8>)> {
    PACKED.iter().map(|(coding, hex)| (*coding, HEXLOWER.decode(hex.as_bytes()).unwrap()))
}

fn unpack(coding: Coding, pieces: &[&[u8]], limits: Limits) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::new(coding, limits).unwrap();
    let mut plain = Vec::new();
    for piece in pieces {
        decoder.write(piece, &mut |some| {
            plain.extend_from_slice(some);
            Ok::<(), Fault>(())
        })?;
    }
    decoder.finish().map(|()| plain)
}

/// Unpacks `bytes` whole, cut in two at every byte, and byte by byte, which must come to the same.
#[track_caller]
fn check(coding: Coding, bytes: &[u8], expected: Result<&[u8], Fault>) {
    let expected = expected.map(<[u8]>::to_vec);
    let limits = Limits::default();
    assert_eq!(unpack(coding, &[bytes], limits), expected, "{coding:?}");
    for at in 0..=bytes.len() {
        let (one, other) = bytes.split_at(at);
        assert_eq!(unpack(coding, &[one, other], limits), expected, "{coding:?}, cut at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(unpack(coding, &single, limits), expected, "{coding:?}, byte by byte");
}

#[test]
fn what_others_packed_is_unpacked_however_it_is_cut() {
    for (coding, bytes) in packed() {
        check(coding, &bytes, Ok(PLAIN.as_bytes()));
    }
    check(Coding::Identity, b"plain", Ok(b"plain"));
}

#[test]
fn several_members_and_frames_are_one_body() {
    let twice = PLAIN.repeat(2);
    for (coding, bytes) in packed() {
        let expected = match coding {
            Coding::Gzip | Coding::Zstd => Ok(twice.as_bytes()),
            // There is nothing behind their end.
            Coding::Deflate | Coding::Brotli => Err(Fault::Broken),
            Coding::Identity => panic!("it has no members"),
        };
        check(coding, &bytes.repeat(2), expected);
    }
}

#[test]
fn a_body_that_is_cut_anywhere_is_not_complete() {
    for (coding, bytes) in packed() {
        for end in 0..bytes.len() {
            check(coding, &bytes[..end], Err(Fault::Cut));
        }
    }
}

#[test]
fn what_stands_behind_the_end_is_an_error() {
    for (coding, mut bytes) in packed() {
        bytes.extend_from_slice(b"  ");
        for end in [bytes.len() - 1, bytes.len()] {
            let done = unpack(coding, &[&bytes[..end]], Limits::default());
            assert!(matches!(done, Err(Fault::Broken | Fault::Cut)), "{coding:?}: {done:?}");
        }
    }
}

/// Codings with a checksum never give other bytes than were packed.
#[test]
fn a_bit_that_is_wrong_is_found() {
    for (coding, bytes) in packed() {
        for at in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[at / 8] ^= 1 << (at % 8);
            let done = unpack(coding, &[&wrong], Limits::default());
            let has_checksum = match coding {
                Coding::Gzip | Coding::Zstd => true,
                Coding::Deflate => bytes[0] == 0x78,
                Coding::Brotli | Coding::Identity => false,
            };
            if let (Ok(plain), true) = (done, has_checksum) {
                assert_eq!(plain, PLAIN.as_bytes(), "{coding:?}, bit {at}");
            }
        }
    }
}

#[test]
fn a_coding_is_not_another() {
    for (coding, bytes) in packed() {
        for other in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            if other != coding {
                let done = unpack(other, &[&bytes], Limits::default());
                assert!(done.is_err(), "{coding:?} as {other:?}: {done:?}");
            }
        }
    }
}

const SENT: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

#[test]
fn what_is_packed_is_whole_at_every_moment() {
    let pieces: Vec<Vec<u8>> =
        (0..50_u32).map(|n| PLAIN.repeat(n as usize * 7 % 40).into_bytes()).collect();
    for coding in SENT {
        let mut encoder = Encoder::new(coding).unwrap();
        let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
        let mut plain = Vec::new();
        let mut given = Vec::new();
        let mut read = |bytes: &[u8], plain: &mut Vec<u8>| {
            let next = &mut |some: &[u8]| {
                plain.extend_from_slice(some);
                Ok::<(), Fault>(())
            };
            decoder.write(bytes, next).unwrap();
        };
        for piece in &pieces {
            given.extend_from_slice(piece);
            let bytes = encoder.write(piece.clone()).unwrap();
            read(&bytes, &mut plain);
            assert_eq!(plain.len(), given.len(), "{coding:?} holds something back");
        }
        read(&encoder.finish().unwrap(), &mut plain);
        decoder.finish().unwrap();
        assert!(plain == given, "{coding:?}");
    }
}

#[test]
fn nothing_at_all_can_be_packed() {
    for coding in SENT {
        let bytes = Encoder::new(coding).unwrap().finish().unwrap();
        assert_eq!(unpack(coding, &[&bytes], Limits::default()), Ok(Vec::new()), "{coding:?}");
    }
    assert_eq!(Encoder::new(Coding::Deflate).err(), Some(Fault::Broken));
}

/// A gibibyte of one letter.
fn bomb(coding: Coding) -> Vec<u8> {
    let mut encoder = Encoder::new(coding).unwrap();
    let piece = vec![b' '; 4 << 20];
    let mut bytes = Vec::new();
    for _ in 0..256 {
        bytes.append(&mut encoder.write(piece.clone()).unwrap());
    }
    bytes.append(&mut encoder.finish().unwrap());
    bytes
}

#[test]
fn a_body_that_unpacks_to_much_more_than_it_is_is_refused() {
    let limits = Limits { piece_bytes_max: 1 << 20, ratio_max: 64, ..Limits::default() };
    for coding in SENT {
        let bytes = bomb(coding);
        for piece_bytes in [1, 512, 64 << 10] {
            let mut decoder = Decoder::new(coding, limits).unwrap();
            let (mut given, mut taken) = (0, 0);
            let refused = bytes.chunks(piece_bytes).find_map(|piece| {
                let before = given;
                taken += piece.len();
                let done = decoder.write(piece, &mut |some| {
                    given += some.len();
                    Ok::<(), Fault>(())
                });
                assert!(given - before <= limits.piece_bytes_max, "{coding:?}");
                assert!(given <= limits.piece_bytes_max + 64 * taken, "{coding:?}");
                done.err()
            });
            assert_eq!(refused, Some(Fault::Bomb), "{coding:?} in pieces of {piece_bytes}");
        }
    }
}

#[test]
fn a_body_is_no_longer_than_the_limit() {
    let limits = Limits { bytes_max: PLAIN.len() as u64, ..Limits::default() };
    for (coding, bytes) in packed() {
        assert_eq!(unpack(coding, &[&bytes], limits), Ok(PLAIN.as_bytes().to_vec()));
        let limits = Limits { bytes_max: limits.bytes_max - 1, ..limits };
        assert_eq!(unpack(coding, &[&bytes], limits), Err(Fault::Bomb));
    }
}

#[test]
fn an_error_of_the_next_ends_the_body() {
    let mut decoder = Decoder::new(Coding::Gzip, Limits::default()).unwrap();
    let (_, bytes) = packed().next().unwrap();
    assert_eq!(decoder.write(&bytes, &mut |_| Err(Fault::Memory)), Err(Fault::Memory));
}

#[test]
fn a_client_gets_what_it_likes_best() {
    #[track_caller]
    fn check(values: &[&str], expected: Coding) {
        assert_eq!(accepted(values.iter().copied()), expected, "{values:?}");
    }
    check(&[], Coding::Identity);
    check(&[""], Coding::Identity);
    check(&["gzip"], Coding::Gzip);
    check(&["x-gzip"], Coding::Gzip);
    check(&["GZIP"], Coding::Gzip);
    check(&["gzip, deflate, br, zstd"], Coding::Zstd);
    check(&["gzip, deflate, br"], Coding::Brotli);
    check(&["gzip", "br"], Coding::Brotli);
    check(&["deflate"], Coding::Identity);
    check(&["br;q=0.2, gzip;q=0.8"], Coding::Gzip);
    check(&["br;q=0.2,gzip ; q=0.201"], Coding::Gzip);
    check(&["*"], Coding::Zstd);
    check(&["*;q=0.5, zstd;q=0"], Coding::Brotli);
    check(&["identity"], Coding::Identity);
    check(&["identity, gzip;q=0.5"], Coding::Identity);
    check(&["identity;q=0.5, gzip"], Coding::Gzip);
    check(&["gzip, identity"], Coding::Gzip);
    check(&["identity;q=0, *;q=0"], Coding::Identity);
    check(&["gzip;q=0"], Coding::Identity);
    // A weight that is none does not make the member one with all weight.
    check(&["gzip;q=1.001"], Coding::Identity);
    check(&["gzip;q=-1"], Coding::Identity);
    check(&["gzip;q=0.1234"], Coding::Identity);
    check(&["gzip;level=9"], Coding::Identity);
    check(&["gzip;q"], Coding::Identity);
}
