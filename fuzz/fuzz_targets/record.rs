//! Whatever a line of a backup holds, it is a record that is written the same way again, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::backup::record::Record;

fuzz_target!(|line: &[u8]| {
    if let Ok(record) = serde_json::from_slice::<Record>(line) {
        let again = serde_json::to_vec(&record).expect("a record can be written");
        let read: Record = serde_json::from_slice(&again).expect("what was written reads");
        assert_eq!(read.digest(), record.digest());
        let _ = (record.name(), record.size());
    }
});
