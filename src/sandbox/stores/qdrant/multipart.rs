//! Forms with files (RFC 7578), as far as an upload of one file needs them.

/// A file of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// The name that it came with.
    pub name: Option<String>,
    /// Its bytes.
    pub content: &'a [u8],
}

/// The boundary that a content type names.
pub fn boundary(content_type: &str) -> Option<&str> {
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return None;
    }
    let parameters = content_type.split(';').skip(1);
    let value = parameters.filter_map(|part| part.trim().strip_prefix("boundary=")).next()?;
    let value = value.trim_matches('"');
    (1..=70).contains(&value.len()).then_some(value)
}

/// The part of a form with this name.
pub fn file<'a>(body: &'a [u8], boundary: &str, field: &str) -> Option<File<'a>> {
    let mark = format!("--{boundary}");
    let mut rest = body.strip_prefix(mark.as_bytes())?;
    let between = format!("\r\n--{boundary}");
    loop {
        rest = rest.strip_prefix(b"\r\n")?;
        let (head, content) = split(rest, b"\r\n\r\n")?;
        let (content, after) = split(content, between.as_bytes())?;
        let head = String::from_utf8_lossy(head);
        if parameter(&head, "name").as_deref() == Some(field) {
            return Some(File { name: parameter(&head, "filename"), content });
        }
        rest = after;
    }
}

fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    // Most bytes cannot begin the mark.
    let first = *mark.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(mark) {
            return Some((&bytes[..at], &bytes[at + mark.len()..]));
        }
        from = at + 1;
    }
}

fn parameter(head: &str, name: &str) -> Option<String> {
    let lines = head.lines();
    let line =
        lines.into_iter().find(|l| l.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let mut parts = line.split(';').map(str::trim);
    let value = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_in_a_form_or_not() {
        let body = b"--bnd\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--bnd\r\n\
            Content-Disposition: form-data; name=\"snapshot\"; filename=\"f.snapshot\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n\r\n--bytes\r\n\0\r\n--bnd--\r\n";
        let found = file(body, "bnd", "snapshot").expect("a file");
        assert_eq!(found, File { name: Some("f.snapshot".into()), content: b"\r\n--bytes\r\n\0" });
        assert_eq!(file(body, "bnd", "none"), None);
        for length in 0..body.len() - 10 {
            assert_eq!(file(&body[..length], "bnd", "snapshot"), None, "{length}");
        }
        assert_eq!(boundary("multipart/form-data; boundary=\"b\""), Some("b"));
        assert_eq!(boundary("application/json; boundary=b"), None);
    }
}
