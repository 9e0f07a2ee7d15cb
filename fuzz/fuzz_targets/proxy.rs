//! Whatever a proxy answers, it is a status, the beginning of one, or refused; and what is whole stays
//! what it is when it came in two pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::platform::proxy::status_of;

fuzz_target!(|head: &[u8]| {
    if let Ok(Some(status)) = status_of(head) {
        assert!(status < 1000);
        let earlier = status_of(&head[..head.len() / 2]);
        assert!(earlier.is_ok_and(|earlier| earlier.is_none_or(|earlier| earlier == status)));
    }
});
