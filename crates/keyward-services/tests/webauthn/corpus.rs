//! The inputs of the fuzz target, judged again with every run of the tests: the kept ones, good ones, and good ones bent at random.
//! Only the test harness calls it.
//! It does not know what an answer is worth; it wants to see no panic.

#[path = "../../../../fuzz/src/webauthn.rs"]
mod fuzz;

use keyward_testkit::authenticator::{Algorithm, SoftKey};
use serde_json::Value;

use super::{options, signed};

/// Inputs as the fuzz target takes them, good ones to begin with.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let input = |kind: u8, client_data: &Value, rest: &[u8]| {
        let client_data = client_data.to_string();
        let length = u16::try_from(client_data.len()).expect("short client data");
        [&[kind][..], &length.to_be_bytes(), client_data.as_bytes(), rest].concat()
    };
    for algorithm in Algorithm::ALL {
        let mut key = SoftKey::new(algorithm, fuzz::ORIGIN);
        key.id = fuzz::ID.to_vec();
        let good = key.create(&options(&fuzz::CHALLENGE));
        for one in [good.clone(), good.attested_by(&key)] {
            seeds.push(input(0, &one.client_data, &one.object()));
        }
        let one = key.get(&options(&fuzz::CHALLENGE));
        let (data, cose) = (one.data.encode(), key.cose());
        let signature = key.sign(&signed(&one));
        let extra = u8::try_from(data.len() - 37).expect("nothing behind the count");
        let length = u16::try_from(cose.len()).expect("a short key").to_be_bytes();
        seeds.push(input(1, &one.client_data, &[&[extra][..], &length, &data, &cose, &signature].concat()));
    }
    seeds
}

/// What the fuzz target found worth keeping, the good inputs, and the good ones bent at random: nothing panics.
#[test]
fn the_corpus_of_the_fuzz_target_is_harmless() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/webauthn");
    let kept: Vec<_> = std::fs::read_dir(corpus).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    assert!(kept.len() > 50, "only {} inputs in the corpus", kept.len());
    for path in kept {
        fuzz::judge(&std::fs::read(path).expect("an input"));
    }
    // A small generator of numbers (xorshift), so that every run is the same.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below.max(1)).expect("a number")).expect("below it")
    };
    for seed in seeds() {
        fuzz::judge(&seed);
        for _ in 0..2_000 {
            let mut bent = seed.clone();
            for _ in 0..=draw(4) {
                let place = draw(bent.len());
                match draw(4) {
                    0 => bent[place] = u8::try_from(draw(256)).expect("a byte"),
                    1 => bent[place] ^= 1 << draw(8),
                    2 => bent.truncate(place.max(4)),
                    _ => bent.insert(place, [0x9f, 0xbf, 0x7f, 0x5f, 0xff, 0x1b, 0xfb, 0xc0][draw(8)]),
                }
            }
            fuzz::judge(&bent);
        }
    }
}
