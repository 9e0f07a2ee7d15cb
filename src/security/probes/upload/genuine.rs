//! Small files that really are what their endings say, each with a text in it: an upload that looks at
//! contents refuses anything else, and then nothing would have been tested.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::archive;

/// The entry of an archive by which it may be fetched back: named after it, because it may be unpacked
/// among the files of others.
pub fn entry(file_name: &str) -> String {
    format!("{file_name}.txt")
}

/// A file of a type with a text in it, and its media type. Of endings that are not known, plain text.
pub fn genuine(ending: &str, file_name: &str, text: &str) -> (&'static str, Vec<u8>) {
    match ending.to_lowercase().as_str() {
        ".gif" => ("image/gif", gif(text)),
        ".png" => ("image/png", png(text)),
        ".jpg" | ".jpeg" => ("image/jpeg", jpeg(text)),
        ".pdf" => ("application/pdf", pdf(text)),
        ".zip" => ("application/zip", archive::zip(&[(entry(file_name).as_str(), text)])),
        ".json" => ("application/json", serde_json::json!({ "note": text }).to_string().into()),
        ".csv" => ("text/csv", format!("note\n\"{text}\"\n").into()),
        ".xml" => ("application/xml", format!("<?xml version=\"1.0\"?><note>{text}</note>").into()),
        ".html" | ".htm" => ("text/html", format!("<!doctype html><p>{text}</p>").into()),
        ".md" => ("text/markdown", text.into()),
        _ => ("text/plain", text.into()),
    }
}

/// One pixel and a comment (GIF89a).
pub fn gif(text: &str) -> Vec<u8> {
    let mut file = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xfe".to_vec();
    for block in text.as_bytes().chunks(255) {
        file.push(u8::try_from(block.len()).unwrap_or(u8::MAX));
        file.extend_from_slice(block);
    }
    file.extend_from_slice(b"\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b");
    file
}

/// One grey pixel and a comment (ITU T.81, baseline; a table of one code for each kind).
pub fn jpeg(text: &str) -> Vec<u8> {
    let segment = |marker: u8, content: &[u8]| {
        let length = u16::try_from(content.len() + 2).unwrap_or(u16::MAX);
        [&[0xff, marker][..], &length.to_be_bytes(), content].concat()
    };
    let table = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
    [
        &b"\xff\xd8"[..],
        &segment(0xe0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
        &segment(0xfe, text.as_bytes()),
        &segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        &segment(0xc0, &[8, 0, 1, 0, 1, 1, 1, 0x11, 0]),
        &segment(0xc4, &table(0x00)),
        &segment(0xc4, &table(0x10)),
        &segment(0xda, &[1, 1, 0, 0, 63, 0]),
        &b"\x3f\xff\xd9"[..],
    ]
    .concat()
}

/// One grey pixel and a text (PNG, third edition).
fn png(text: &str) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let named = [&kind[..], content].concat();
        [&length.to_be_bytes()[..], &named, &crc32fast::hash(&named).to_be_bytes()].concat()
    };
    let mut pixel = ZlibEncoder::new(Vec::new(), Compression::best());
    // Into memory: neither can fail.
    let pixel = pixel.write_all(&[0, 0]).and_then(|()| pixel.finish()).unwrap_or_default();
    [
        &b"\x89PNG\r\n\x1a\n"[..],
        &chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]),
        &chunk(b"tEXt", &[b"Comment\0", text.as_bytes()].concat()),
        &chunk(b"IDAT", &pixel),
        &chunk(b"IEND", b""),
    ]
    .concat()
}

/// A document of one empty page, with its table of places (ISO 32000-1, 7.5).
fn pdf(text: &str) -> Vec<u8> {
    let mut file = format!("%PDF-1.4\n% {text}\n");
    let mut places = Vec::new();
    for (n, object) in [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Resources<<>>>>",
    ]
    .into_iter()
    .enumerate()
    {
        places.push(file.len());
        file += &format!("{} 0 obj\n{object}\nendobj\n", n + 1);
    }
    let table = file.len();
    file += "xref\n0 4\n0000000000 65535 f \n";
    for place in places {
        file += &format!("{place:010} 00000 n \n");
    }
    file += &format!("trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n");
    file.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::genuine;

    #[test]
    fn every_file_has_its_text_and_the_beginning_of_its_kind() {
        for (ending, begins) in [
            (".gif", &b"GIF89a"[..]),
            (".PNG", b"\x89PNG\r\n\x1a\n"),
            (".jpg", b"\xff\xd8\xff"),
            (".pdf", b"%PDF-"),
            (".zip", b"PK\x03\x04"),
            (".json", b"{"),
            (".txt", b"mark-1"),
            (".odd", b"mark-1"),
        ] {
            let (_, content) = genuine(ending, "a", "mark-1");
            assert!(content.starts_with(begins), "{ending}");
            assert!(String::from_utf8_lossy(&content).contains("mark-1"), "{ending}");
        }
    }

    /// Where the program `file` is at hand, it takes each for what it is.
    #[test]
    fn other_programs_know_them() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (ending, says) in [
            (".gif", "GIF image data, version 89a, 1 x 1"),
            (".png", "PNG image data, 1 x 1, 8-bit grayscale"),
            (".jpg", "baseline, precision 8, 1x1, components 1"),
            (".pdf", "PDF document, version 1.4"),
            (".zip", "Zip archive data"),
        ] {
            let path = folder.path().join(format!("a{ending}"));
            std::fs::write(&path, genuine(ending, "a", "mark-1").1).expect("written");
            if let Ok(output) = std::process::Command::new("file").arg("-b").arg(&path).output() {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(said.contains(says), "{ending}: {said}");
            }
        }
    }
}
