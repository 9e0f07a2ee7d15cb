//! What reads what a peer uploads, for fuzzing: each takes anything and comes to its end.

use super::multipart::{boundary, file};
use super::snapshot::{archive, restore, take};

/// A snapshot: an archive as it came, or of this content. What is restored can be taken again.
pub fn snapshot(bytes: &[u8]) {
    let _ = restore(bytes, "one");
    if let Ok(collection) = restore(&archive(bytes), "two") {
        let again = restore(&take(&collection).bytes, "three");
        assert!(again.is_ok_and(|again| again.points.len() == collection.points.len()));
    }
}

/// A form with a file, and the header that names its boundary.
pub fn form(body: &[u8], content_type: &str) {
    for boundary in ["bnd", boundary(content_type).unwrap_or("bnd")] {
        if let Some(found) = file(body, boundary, "snapshot") {
            assert!(found.content.len() < body.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in "[-a-z\\r\\n;=\": ]{0,80}",
        ) {
            super::snapshot(&bytes);
            super::form(&bytes, &text);
            super::form(format!("--bnd{text}").as_bytes(), &text);
        }
    }
}
