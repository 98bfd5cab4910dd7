//! Hashes of other systems: known answers, bounds and malformed texts.
//!
//! The answers were made with Python's `hashlib` and `hmac`, with OpenSSL (`passwd`, `enc -aes-256-ctr`, `dgst -md4`) and with the
//! C library's `crypt`; the Firebase hash is the one that Firebase publishes with its algorithm.

use super::format::{Format, HashRefusal, parse, recognise};
use super::{Argon2Parameters, HashParameters};

const CONFIGURED: HashParameters =
    HashParameters::Argon2id(Argon2Parameters { memory_kib: 64, iterations: 1, parallelism: 1, salt_length: 16, key_length: 32 });
const PASSWORD: &str = "correct horse";

const FIREBASE: &str = concat!(
    "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198",
    "JAdRuid5lQ==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
);

const ANSWERS: [(Format, &str); 28] = [
    (Format::Pbkdf2, "$pbkdf2-sha1$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$aUfE2vx5Q7zgbb0jx49AaNpXUQQVW6pePKN5ab37G40"),
    // SHA3-224 and SHA3-384 behind these names, as in the reference server.
    (Format::Pbkdf2, "$pbkdf2-sha224$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$UrjDZXM1sG0TQTxqIhpBncU/VRCD6TblLyeMhMQfCME"),
    (Format::Pbkdf2, "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M"),
    (Format::Pbkdf2, "$pbkdf2-sha384$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$S+KsdiI9hSW1E9Wel0KMjNLLODlvi+nlNRA9/S2RxKA"),
    (Format::Pbkdf2, "$pbkdf2-sha512$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuQ"),
    (Format::Pbkdf2, "$pbkdf2-sha512$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg==$OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuQ="),
    (Format::Scrypt, "$scrypt$ln=16384,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg==$0LupyHkzAIgDr9UDsriAAf87vMbCbcaUfDvFOAHk0D0="),
    (Format::Ssha, "{SSHA}VtJJPXPvCfCWGkEI7kkQTL9vdXUwMTIzNDU2Nw=="),
    (Format::Ssha, "{SSHA256}Z6RFW4+Ag8nVu3NoLdW3eEB0L78lzq2I7TCDYpvCVZkwMTIzNDU2Nw=="),
    (Format::Ssha, "{SSHA512}9gh7lWYBcMag+soxMrJqPUXVL0lAMQImYop25Q9r58bcT6/WHV3BLb+JRomTQRChvw+Qp3usa6Yx2rCPfnvIZjAxMjM0NTY3"),
    (Format::Digest, "$sha1$pf=e1NBTFR9LS17UEFTU1dPUkR9OntTQUxUfQ==$cGVwcGVy$vYCG9+56kwR4gJjQkgAqqxVhCd4="),
    (Format::Digest, "$sha256$pf=e1NBTFR9LS17UEFTU1dPUkR9OntTQUxUfQ==$cGVwcGVy$UJaySAAhA4Aji0rvnGBWQA+lcPsfvxDR+RvFKUq+yFc="),
    (
        Format::Digest,
        concat!(
            "$sha512$pf=e1NBTFR9LS17UEFTU1dPUkR9OntTQUxUfQ==$cGVwcGVy$eivetYkFTpRoyH6hI3Nwh7/X7VVKcLPt72quuslkstFvluKBA0/kyHF+",
            "ma1/6I/+aZnALejxY5FNwynNI4ss4Q=="
        ),
    ),
    (Format::Digest, "$md5$pf=e1NBTFR9LS17UEFTU1dPUkR9OntTQUxUfQ==$cGVwcGVy$jUY7luva4WUra+fXeh6JVQ=="),
    (Format::Digest, "$md5$PLTnMmMfR+brlh80VUt83g=="),
    (Format::Hmac, "$hmac-md4$YTM3N2JhZGI5NWNkM2Y2MDVjZDhlYmUyNmY4OTMxMjY=$YSBrZXk="),
    (Format::Hmac, "$hmac-md5$YjFkY2VkMTYzMzUwNmJhMTQzZWM1MzRjODg0YzA3MTk=$YSBrZXk="),
    (Format::Hmac, "$hmac-sha1$MThiZTcxMWFmNjQxZmZjZjBlNWRkOTMwODQwNmFhNzAwODg4ZDMzMw==$YSBrZXk="),
    (Format::Hmac, "$hmac-sha224$MGIyYzlhODI0MjRjNDI4NDEyNTk3NGE3ZWQ0M2Y0YjQyNzY0YzkzY2ZhNDAwMThlN2IxYWJlY2E=$YSBrZXk="),
    (
        Format::Hmac,
        "$hmac-sha256$MDE2ZTExN2RjNWI3YTQ4ZGFlOGMzODAxMzBhNzE0YTA4MmQ4OTA4YmZkYjRjN2ZiZWEyMDVjMTVkMDQ1MmNmMQ==$YSBrZXk=",
    ),
    (
        Format::Hmac,
        concat!(
            "$hmac-sha384$MzQ2YmQzZmQxMjVlY2I5MzhiZjA4YTlhYjFiNTIzYTgyNGZhOWMyYjNhODY4MWI2ZTE0ZTI2OGZlYjhlYTI0YTdmOTk3N2ZjZjUz",
            "NzRlZTgxZWYyNjBlNjE2ZDE5MGM0$YSBrZXk="
        ),
    ),
    (
        Format::Hmac,
        concat!(
            "$hmac-sha512$ZDMzNzc3OTI4MDg3NjdhNGE1ZDNlMTk4MDc0MTg2ZDFiYjBhMTU2MGE2MzE2NjYzMzgwNWU1ZDMyNzlmOWM0Mjg1MmU5YmMwZDdj",
            "M2EwN2E3NTBmZDNjNjA1YTQyNmNkYmRlNGU5OTE4ZjE5YmI0MDYxN2Y5NDAyMzAxZmI4ZjI=$YSBrZXk="
        ),
    ),
    (Format::Md5Crypt, "$md5-crypt$saltsalt$NuzA7WTAelpl95xgBGWN60"),
    (Format::Sha256Crypt, "$sha256-crypt$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC"),
    (Format::Sha256Crypt, "$sha256-crypt$rounds=5000$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC"),
    (Format::Sha256Crypt, "$sha256-crypt$rounds=1234$saltstring$JwEtARLq22IuEMOkyrnAzPCpAMczLA.b/Lpn1eZkj.1"),
    (
        Format::Sha512Crypt,
        concat!(
            "$sha512-crypt$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbt",
            "m/"
        ),
    ),
    (
        Format::Sha512Crypt,
        concat!(
            "$sha512-crypt$rounds=1400$anotherlongsalt$0PTOn8bBzyqhh2wyYzWU/brdeY8ErVYrWGtpWQ.bUqWCi7scvtbXl.9n4xWAPmBVClu7RNqg",
            "j5BNSysjCHbab0"
        ),
    ),
];

fn fits(stored: &str, password: &str) -> bool {
    parse(stored, CONFIGURED).unwrap_or_else(|refusal| panic!("{refusal}: {stored}")).fits(password.as_bytes())
}

#[test]
fn hashes_of_other_systems_fit_their_password_only_and_are_to_be_renewed() {
    for (format, stored) in ANSWERS {
        assert_eq!(recognise(stored), Ok(format), "{stored}");
        assert!(fits(stored, PASSWORD), "{stored}");
        assert!(!fits(stored, "correct hors"), "{stored}");
        assert!(!parse(stored, CONFIGURED).expect("read before").is_current(CONFIGURED));
    }
    assert_eq!(recognise(FIREBASE), Ok(Format::Firescrypt));
    assert!(fits(FIREBASE, "user1password") && !fits(FIREBASE, "user2password"));
    // Longer than a digest, and empty.
    assert!(fits("$md5-crypt$ab$xYxcg6Ku8Fq4wHdUunBv1.", &"x".repeat(70)));
    assert!(fits("$md5-crypt$abcd$CwbBDotm4UoKv5fATTtzT.", ""));
}

#[test]
fn a_password_that_looks_like_a_template_is_only_a_password() {
    // MD5 of `{SALT}:salt`; the placeholder inside the password stays what it is.
    let stored = "$md5$pf=e1BBU1NXT1JEfTp7U0FMVH0=$c2FsdA==$d4ZbVyvRRO3GU30wn6bSyw==";
    assert!(fits(stored, "{SALT}"));
    assert!(!fits(stored, "salt"));
}

#[test]
fn malformed_and_expensive_hashes_are_refused_without_any_work() {
    use HashRefusal::{Malformed, TooExpensive, Unknown};
    let pbkdf2 =
        |costs: &str| format!("$pbkdf2-sha256${costs}$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M");
    let scrypt = |costs: &str| format!("$scrypt${costs}$MDEyMzQ1Njc4OWFiY2RlZg==$0LupyHkzAIgDr9UDsriAAf87vMbCbcaUfDvFOAHk0D0=");
    let sha = |salt: &str| format!("$sha256-crypt${salt}$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC");
    for (stored, refusal) in [
        (pbkdf2("i=10000001,l=32"), TooExpensive),
        (pbkdf2("i=99999999999,l=32"), TooExpensive),
        (pbkdf2("i=0,l=32"), Malformed),
        (pbkdf2("i=-1,l=32"), Malformed),
        (pbkdf2("i=+1,l=32"), Malformed),
        (pbkdf2("l=32,i=1000"), Malformed),
        (pbkdf2("l=32"), Malformed),
        (pbkdf2("i=1000,l=32,x=1"), Malformed),
        ("$pbkdf2-sha256$i=1000,l=0$MDEy$".into(), Malformed),
        ("$pbkdf2-sha256$i=1000,l=3$MDEy$AAAA".into(), Malformed),
        ("$pbkdf2-sha256$i=1000,l=32$MDEy".into(), Malformed),
        ("$pbkdf2-sha3$i=1000,l=32$MDEy$AAAA".into(), Unknown),
        (scrypt("ln=262144,r=8,p=1"), TooExpensive),
        (scrypt("ln=16384,r=9,p=1"), TooExpensive),
        (scrypt("ln=16384,r=8,p=11"), TooExpensive),
        (scrypt("ln=16383,r=8,p=1"), Malformed),
        (scrypt("ln=1,r=8,p=1"), Malformed),
        (scrypt("ln=0,r=8,p=1"), Malformed),
        (scrypt("ln=16384,r=0,p=1"), Malformed),
        (FIREBASE.replace("ln=14", "ln=18"), TooExpensive),
        (FIREBASE.replace("ln=14", "ln=0"), Malformed),
        (FIREBASE.replace("$Bw==$", "$"), Malformed),
        ("{SSHA}AAAA".into(), Malformed),
        ("{SSHA384}AAAA".into(), Unknown),
        ("{SHA}AAAA".into(), Unknown),
        ("$md5$AAAA".into(), Malformed),
        ("$md5$pf=bm8=$c2FsdA==$PLTnMmMfR+brlh80VUt83g==".into(), Malformed),
        ("$sha256$AAAA".into(), Malformed),
        ("$sha224$pf=$$".into(), Unknown),
        ("$hmac-sha256$YjFkY2Vk$YSBrZXk=".into(), Malformed),
        ("$hmac-sha256$YSBrZXk=".into(), Malformed),
        ("$hmac-sha3$YSBrZXk=$YSBrZXk=".into(), Unknown),
        ("$md5-crypt$saltsaltsalt$NuzA7WTAelpl95xgBGWN60".into(), Malformed),
        ("$md5-crypt$saltsalt$NuzA7WTAelpl95xgBGWN6".into(), Malformed),
        ("$md5-crypt$NuzA7WTAelpl95xgBGWN60".into(), Malformed),
        (sha("rounds=999$salt"), Malformed),
        (sha("rounds=1000001$salt"), TooExpensive),
        (sha("rounds=x$salt"), Malformed),
        (sha("saltsaltsaltsalts"), Malformed),
    ] {
        assert_eq!(recognise(&stored), Err(refusal), "{stored}");
    }
}

#[test]
fn scrypt_tells_how_much_memory_it_takes() {
    for (stored, least) in [(ANSWERS[6].1, 16 * 1024), (FIREBASE, 16 * 1024)] {
        let memory = parse(stored, CONFIGURED).expect("readable").memory_kib();
        assert!((least..least + 16).contains(&memory), "{memory}");
    }
}
