//! Whatever a client writes to the control socket, and whatever an engine answers, each line is taken
//! or refused; what is taken is written the same way again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::run::control::{Reply, Request};

fuzz_target!(|data: &[u8]| {
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(request) = serde_json::from_slice::<Request>(line) {
            let again = serde_json::to_vec(&request).expect("a request can be written");
            let read: Request = serde_json::from_slice(&again).expect("what was written reads");
            assert_eq!(read, request);
        }
        // An engine of another version, or what poses as one.
        if let Ok(reply) = serde_json::from_slice::<Reply>(line) {
            let _ = serde_json::to_vec(&reply);
        }
    }
});
