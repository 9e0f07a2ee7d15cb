//! Whatever a backup's file holds, it is of its format or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::backup::format::read;
use shakedown::config::ArtefactFormat;

fuzz_target!(|bytes: &[u8]| {
    for format in [
        ArtefactFormat::PgDump,
        ArtefactFormat::Zstd,
        ArtefactFormat::Gzip,
        ArtefactFormat::Tar,
        ArtefactFormat::Rdb,
        ArtefactFormat::JsonLines,
    ] {
        let _ = read(bytes, format).map_err(|error| error.to_string());
    }
});
