//! Known answers of other implementations, bounds, spellings and the way through the queue.

use std::sync::mpsc;

use super::*;
use crate::keys::tests::Counting;

const ARGON2: Argon2Parameters =
    Argon2Parameters { memory_kib: 64, iterations: 2, parallelism: 2, salt_length: 16, key_length: 32 };
const TINY: HashParameters = HashParameters::Argon2id(ARGON2);
const BCRYPT: HashParameters = HashParameters::Bcrypt { cost: 4 };
const CAPACITY: HashCapacity = HashCapacity { threads: NonZeroUsize::MIN, queue: 8, reserved: 2, memory_kib: 4096 };

fn hasher(parameters: HashParameters) -> Hasher {
    Hasher::new(parameters, CAPACITY, Arc::new(Counting::new())).expect("good parameters")
}

fn secret(text: impl Into<String>) -> Secret<String> {
    Secret::new(text.into())
}

async fn verify(hasher: &Hasher, password: &str, stored: &str) -> Result<Verdict, HashError> {
    hasher.verify(&secret(password), stored, Lane::Public).await
}

const FITS: Result<Verdict, HashError> = Ok(Verdict { matches: true, needs_rehash: false });
const FITS_BUT_OLD: Result<Verdict, HashError> = Ok(Verdict { matches: true, needs_rehash: true });
const FAILS: Result<Verdict, HashError> = Ok(Verdict { matches: false, needs_rehash: false });

#[tokio::test]
async fn hashes_of_other_implementations_fit() {
    let (long, full) = ("x".repeat(71), "x".repeat(72));
    let hasher = hasher(TINY);
    for (stored, password) in [
        // The reference implementation of Argon2.
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"),
        ("$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", "password"),
        ("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8", "password"),
        ("$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E", "password"),
        // jBCrypt's published vectors.
        ("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", ""),
        ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
        // crypt(3) of libxcrypt.
        ("$2b$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm", "password"),
        ("$2a$04$N3Uo5q9m0T1vXbYcZdEfGeWcJjm0nCSveRyOXwGq9zAVIUaJmUuZq", "p\u{e4}ss"),
        ("$2y$04$N3Uo5q9m0T1vXbYcZdEfGe6q4Fx5WVnc9j0uyZpDjAAFUCLtP/uiW", &full),
        ("$2y$04$N3Uo5q9m0T1vXbYcZdEfGenfwC4Bnv0.mmkzGeVSrdhYv8czzu2Qy", &long),
        ("$2b$05$N3Uo5q9m0T1vXbYcZdEfGev/TWMDeUV0Jz6MAoFYWqK/48iE/alom", ""),
    ] {
        assert_eq!(verify(&hasher, password, stored).await, FITS_BUT_OLD, "{stored}");
        assert_eq!(verify(&hasher, &format!("{password} "), stored).await, FAILS, "{stored}");
        let last = if stored.ends_with('.') { "u" } else { "." };
        let altered = format!("{}{last}{}", &stored[..stored.len() - 2], &stored[stored.len() - 1..]);
        if stored.starts_with("$2") {
            assert_eq!(verify(&hasher, password, &altered).await, FAILS, "{altered}");
            for other in ["$2$", "$2a$", "$2b$", "$2y$", "$2z$"] {
                let renamed = format!("{other}{}", &stored[4..]);
                assert_eq!(verify(&hasher, password, &renamed).await, FITS_BUT_OLD, "{renamed}");
            }
        }
    }
}

#[tokio::test]
async fn new_hashes_have_the_wires_form_and_fit() {
    for (parameters, prefix, length) in [(TINY, "$argon2id$v=19$m=64,t=2,p=2$", 28 + 22 + 1 + 43), (BCRYPT, "$2a$04$", 60)] {
        let hasher = hasher(parameters);
        let stored = hasher.hash(&secret("correct horse"), Lane::SignedIn).await.expect("hashed");
        assert!(stored.starts_with(prefix) && stored.len() == length, "{stored}");
        assert_eq!(verify(&hasher, "correct horse", &stored).await, FITS);
        for wrong in ["", "Correct horse", "correct horse\0", "correct hors", " correct horse"] {
            assert_eq!(verify(&hasher, wrong, &stored).await, FAILS, "{wrong}");
        }
        assert_ne!(hasher.hash(&secret("correct horse"), Lane::SignedIn).await, Ok(stored));
    }
}

#[tokio::test]
async fn a_hash_of_other_cost_is_to_be_renewed() {
    let stored = hasher(TINY).hash(&secret("correct horse"), Lane::Public).await.expect("hashed");
    let old = hasher(BCRYPT).hash(&secret("correct horse"), Lane::Public).await.expect("hashed");
    for (parameters, stored, expected) in [
        (HashParameters::Argon2id(Argon2Parameters { memory_kib: 65, ..ARGON2 }), &stored, FITS_BUT_OLD),
        (HashParameters::Argon2id(Argon2Parameters { iterations: 1, ..ARGON2 }), &stored, FITS_BUT_OLD),
        (HashParameters::Argon2id(Argon2Parameters { parallelism: 1, ..ARGON2 }), &stored, FITS_BUT_OLD),
        (HashParameters::Argon2id(Argon2Parameters { key_length: 16, ..ARGON2 }), &stored, FITS_BUT_OLD),
        (TINY, &stored, FITS),
        (TINY, &old, FITS_BUT_OLD),
        (BCRYPT, &old, FITS),
        (BCRYPT, &stored, FITS_BUT_OLD),
        (HashParameters::Bcrypt { cost: 5 }, &old, FITS_BUT_OLD),
    ] {
        let hasher = hasher(parameters);
        assert_eq!(verify(&hasher, "correct horse", stored).await, expected, "{parameters:?}");
        assert_eq!(verify(&hasher, "wrong horse", stored).await, FAILS, "{parameters:?}");
    }
}

#[tokio::test]
async fn spellings_of_one_password_are_one_password() {
    let hasher = hasher(BCRYPT);
    let (composed, decomposed, spaced) = ("p\u{e4}ss w\u{f6}rd", "pa\u{308}ss wo\u{308}rd", "p\u{e4}ss\u{a0}w\u{f6}rd");
    let stored = hasher.hash(&secret(decomposed), Lane::Public).await.expect("hashed");
    for spelling in [composed, decomposed, spaced] {
        assert_eq!(verify(&hasher, spelling, &stored).await, FITS, "{spelling}");
    }
    assert_eq!(verify(&hasher, "pass word", &stored).await, FAILS);
    // Made elsewhere of the bytes as typed: fits as typed, and is then to be renewed.
    let foreign = bcrypt::make(4, decomposed.as_bytes(), &[7; 16]);
    assert_eq!(verify(&hasher, decomposed, &foreign).await, FITS_BUT_OLD);
    assert_eq!(verify(&hasher, composed, &foreign).await, FAILS);
}

#[tokio::test]
async fn lengths_are_refused_before_any_work() {
    let too_long = |max, actual| Err(HashError::TooLong { max, actual });
    // No thread will ever take anything: an answer other than Busy cannot have needed the queue.
    let full = HashCapacity { queue: 0, reserved: 0, ..CAPACITY };
    let argon2 = Hasher::new(TINY, full, Arc::new(Counting::new())).expect("good parameters");
    let bcrypt = Hasher::new(BCRYPT, full, Arc::new(Counting::new())).expect("good parameters");
    let stored = bcrypt::make(4, b"x", &[7; 16]);
    for (length, by_argon2, by_bcrypt) in [
        (72, Err(HashError::Busy), Err(HashError::Busy)),
        (73, Err(HashError::Busy), too_long(72, 73)),
        (1024, Err(HashError::Busy), too_long(72, 1024)),
        (1025, too_long(1024, 1025), too_long(1024, 1025)),
        (1 << 20, too_long(1024, 1 << 20), too_long(1024, 1 << 20)),
    ] {
        let password = secret("x".repeat(length));
        assert_eq!(argon2.hash(&password, Lane::Public).await.map(drop), by_argon2);
        assert_eq!(bcrypt.hash(&password, Lane::Public).await.map(drop), by_bcrypt);
        let checked = |answer: Result<(), HashError>| if answer == Err(HashError::Busy) { Ok(()) } else { answer };
        assert_eq!(argon2.check_length(&password), checked(by_argon2));
        assert_eq!(bcrypt.check_length(&password), checked(by_bcrypt));
        // Comparing never tells more than the general limit, and a dummy answers alike.
        assert_eq!(bcrypt.verify(&password, &stored, Lane::Public).await.map(drop), by_argon2);
        assert_eq!(bcrypt.dummy(&password, Lane::Public).await, by_argon2);
    }
    // 36 composed characters of two bytes, typed decomposed in 108: what counts is what is hashed.
    assert_eq!(bcrypt.check_length(&secret("a\u{308}".repeat(36))), Ok(()));
    assert_eq!(bcrypt.check_length(&secret("a\u{308}".repeat(37))), too_long(72, 74));
}

#[tokio::test]
async fn passwords_equal_in_what_bcrypt_reads_are_not_equal() {
    let hasher = hasher(BCRYPT);
    let stored = hasher.hash(&secret("x".repeat(72)), Lane::Public).await.expect("hashed");
    assert_eq!(verify(&hasher, &"x".repeat(72), &stored).await, FITS);
    for length in [71, 73, 100, 1024] {
        assert_eq!(verify(&hasher, &"x".repeat(length), &stored).await, FAILS, "{length}");
    }
}

#[tokio::test]
async fn hostile_hashes_are_refused_without_work() {
    use HashRefusal::{Faulty, Locked, Malformed, TooExpensive, Unknown};
    let key = "iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
    let argon2 = |costs: &str| format!("$argon2id$v=19${costs}$c29tZXNhbHQ${key}");
    let huge = format!("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ${}", "A".repeat(4_000_000));
    let rest = "m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
    let full = HashCapacity { queue: 0, reserved: 0, memory_kib: 1 << 22, ..CAPACITY };
    let hasher = Hasher::new(TINY, full, Arc::new(Counting::new())).expect("good parameters");
    for (stored, refusal) in [
        (String::new(), Unknown),
        ("$".into(), Unknown),
        ("plaintext".into(), Unknown),
        ("$1$salt$hash".into(), Malformed),
        ("$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA".into(), Unknown),
        ("$argon2id".into(), Unknown),
        (" $argon2id$".into(), Unknown),
        (format!("$2x$06${rest}"), Faulty),
        ("!".into(), Locked),
        ("*LK*".into(), Locked),
        ("x".into(), Locked),
        (format!("$3a$06${rest}"), Unknown),
        ("$argon2id$".into(), Malformed),
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ".into(), Malformed),
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$".into(), Malformed),
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA".into(), Malformed),
        ("$argon2id$v=19$m=256,t=2,p=1$$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8".into(), Malformed),
        (format!("$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ${key}"), Malformed),
        (format!("$argon2id$m=256,t=2,p=1$c29tZXNhbHQ${key}"), Malformed),
        (format!("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ${key}$"), Malformed),
        (format!("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ${key}="), Malformed),
        (format!("$argon2id$v=19$m=256,t=2,p=1$c29tZXN\u{e9}bHQ${key}"), Malformed),
        (argon2("t=2,m=256,p=1"), Malformed),
        (argon2("m=256,t=2"), Malformed),
        (argon2("m=256,t=2,p=1,q=1"), Malformed),
        (argon2("m=+256,t=2,p=1"), Malformed),
        (argon2("m=-1,t=2,p=1"), Malformed),
        (argon2("m=0256,t=2,p=1"), Malformed),
        (argon2("m=,t=,p="), Malformed),
        (argon2("m=99999999999,t=2,p=1"), Malformed),
        (argon2("m=0,t=2,p=1"), Malformed),
        (argon2("m=256,t=0,p=1"), Malformed),
        (argon2("m=256,t=2,p=0"), Malformed),
        (argon2("m=15,t=2,p=2"), Malformed),
        (argon2("m=1048577,t=1,p=1"), TooExpensive),
        (argon2("m=4294967295,t=1,p=1"), TooExpensive),
        (argon2("m=256,t=11,p=1"), TooExpensive),
        (argon2("m=256,t=1,p=17"), TooExpensive),
        (huge, Malformed),
        ("$2a$".into(), Malformed),
        (format!("$2a$6${rest}"), Malformed),
        (format!("$2a$006${rest}"), Malformed),
        (format!("$2a$0\u{e9}${rest}"), Malformed),
        (format!("$2a$-6${rest}"), Malformed),
        (format!("$2a$03${rest}"), Malformed),
        (format!("$2a$06${rest}."), Malformed),
        (format!("$2a$06${}", &rest[1..]), Malformed),
        (format!("$2a$06${}=", &rest[1..]), Malformed),
        (format!("$2a$06$\u{a3}{}", &rest[2..]), Malformed),
        (format!("$2a$06${}\u{a3}{}", &rest[..21], &rest[23..]), Malformed),
        (format!("$2a$16${rest}"), TooExpensive),
        (format!("$2a$31${rest}"), TooExpensive),
        (format!("$2a$99${rest}"), TooExpensive),
    ] {
        let shown = stored.get(..80).unwrap_or(&stored);
        assert_eq!(verify(&hasher, "a", &stored).await, Err(HashError::Unusable(refusal)), "{shown}");
        assert_eq!(recognise(&stored), Err(refusal), "{shown}");
    }
    for (stored, format) in [
        (argon2("m=1048576,t=10,p=16"), Format::Argon2id),
        (argon2("m=256,t=2,p=1").replace("2id", "2i"), Format::Argon2i),
        (format!("$2a$15${rest}"), Format::Bcrypt),
    ] {
        assert_eq!(recognise(&stored), Ok(format));
        assert_eq!(verify(&hasher, "a", &stored).await, Err(HashError::Busy));
    }
}

#[tokio::test]
async fn a_hash_that_outgrows_the_memory_is_refused() {
    let stored = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
    let refused = Err(HashError::Unusable(HashRefusal::TooExpensive));
    assert_eq!(verify(&hasher(TINY), "a", stored).await, refused);
}

#[test]
fn parameters_outside_their_limits_start_nothing() {
    let argon2 = |change: fn(&mut Argon2Parameters)| {
        let mut parameters = ARGON2;
        change(&mut parameters);
        HashParameters::Argon2id(parameters)
    };
    for bad in [
        argon2(|p| p.memory_kib = 15),
        argon2(|p| p.memory_kib = 4097),
        argon2(|p| p.iterations = 0),
        argon2(|p| p.parallelism = 0),
        argon2(|p| p.salt_length = 7),
        argon2(|p| p.salt_length = 513),
        argon2(|p| p.key_length = 15),
        argon2(|p| p.key_length = 513),
        HashParameters::Bcrypt { cost: 3 },
        HashParameters::Bcrypt { cost: 16 },
    ] {
        assert!(matches!(Hasher::new(bad, CAPACITY, Arc::new(Counting::new())), Err(HasherError::Parameters(_))), "{bad:?}");
    }
}

#[tokio::test]
async fn own_hashes_beyond_the_import_bounds_stay_usable() {
    let many_lanes = HashParameters::Argon2id(Argon2Parameters { memory_kib: 160, parallelism: 20, ..ARGON2 });
    let hasher_of_many_lanes = hasher(many_lanes);
    let stored = hasher_of_many_lanes.hash(&secret("correct horse"), Lane::Public).await.expect("hashed");
    assert_eq!(verify(&hasher_of_many_lanes, "correct horse", &stored).await, FITS);
    let elsewhere = verify(&hasher(TINY), "correct horse", &stored).await;
    assert_eq!(elsewhere, Err(HashError::Unusable(HashRefusal::TooExpensive)));
}

#[tokio::test]
async fn a_full_public_lane_leaves_the_reserved_one_open() {
    let hasher = Hasher::new(BCRYPT, HashCapacity { queue: 1, reserved: 1, ..CAPACITY }, Arc::new(Counting::new()))
        .expect("good parameters");
    let (started, gate_started) = mpsc::channel();
    let (open, closed) = mpsc::channel::<()>();
    let gate = hasher.run(Lane::Public, 1, move || {
        started.send(()).expect("the test listens");
        let _ = closed.recv();
    });
    let password = secret("correct horse");
    let tests = async {
        gate_started.recv().expect("the gate runs");
        // The thread is held, so what is pushed now waits.
        let mut waiting = Box::pin(hasher.hash(&password, Lane::Public));
        assert!(poll_once(&mut waiting).await.is_none());
        assert_eq!(hasher.hash(&password, Lane::Public).await, Err(HashError::Busy));
        assert_eq!(hasher.dummy(&password, Lane::Public).await, Err(HashError::Busy));
        let mut reserved = Box::pin(hasher.hash(&password, Lane::SignedIn));
        assert!(poll_once(&mut reserved).await.is_none());
        assert_eq!(hasher.dummy(&password, Lane::SignedIn).await, Err(HashError::Busy));
        drop(open);
        assert!(reserved.await.is_ok());
        assert!(waiting.await.is_ok());
        assert_eq!(hasher.dummy(&password, Lane::Public).await, Ok(()));
    };
    let (held, ()) = tokio::join!(gate, tests);
    assert_eq!(held, Ok(()));
}

#[tokio::test]
async fn work_whose_caller_has_gone_is_skipped() {
    let hasher = hasher(BCRYPT);
    let (started, gate_started) = mpsc::channel();
    let (open, closed) = mpsc::channel::<()>();
    let (ran, runs) = mpsc::channel();
    let mut gate = Box::pin(hasher.run(Lane::Public, 1, move || {
        started.send(()).expect("the test listens");
        let _ = closed.recv();
    }));
    assert!(poll_once(&mut gate).await.is_none());
    gate_started.recv().expect("the gate runs");
    let mut abandoned = Box::pin(hasher.run(Lane::Public, 1, move || ran.send(())));
    assert!(poll_once(&mut abandoned).await.is_none());
    drop(abandoned);
    drop(open);
    assert_eq!(gate.await, Ok(()));
    assert_eq!(hasher.dummy(&secret("x"), Lane::Public).await, Ok(()));
    assert!(runs.try_recv().is_err());
}

/// Polls once; `None` while pending.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
