//! What carries out whatever a peer asks for, for fuzzing: it takes anything and comes to its end.

use super::command::find;
use super::db::Db;
use super::dump;
use super::resp::parse;

/// Commands, one after the other; what they leave survives a dump.
pub fn commands(mut bytes: &[u8]) {
    let mut db = Db::at(1);
    while let Ok(Some((request, used))) = parse(bytes) {
        bytes = &bytes[used..];
        let Some((name, words)) = request.split_first() else { continue };
        let Some(command) = find(name).filter(|command| command.admits(words.len() + 1)) else {
            continue;
        };
        let _ = (command.run)(&mut db, words);
    }
    for key in [&b"x"[..], b"y"] {
        let Some(entry) = db.take(key) else { continue };
        let dumped = dump::write(&entry.value);
        assert_eq!(dump::read(&dumped, 1), Ok(Some(entry.value)));
    }
}

/// A dump whose checksum is right.
pub fn restore(body: &[u8]) {
    let _ = dump::read(&dump::sealed(body), 1);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::command::all;

    proptest! {
        #[test]
        fn whatever_is_asked_is_done_or_refused(
            asked in proptest::collection::vec(
                (any::<proptest::sample::Index>(), proptest::collection::vec("[a-z0-9*+(\\[-]{0,4}", 0..6)),
                0..20,
            ),
            body in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let names: Vec<_> = all().map(|command| command.name).collect();
            let mut bytes = Vec::new();
            for (name, words) in &asked {
                bytes.extend(format!("*{}\r\n", words.len() + 2).into_bytes());
                for word in [*name.get(&names), "x"].into_iter().chain(words.iter().map(String::as_str)) {
                    bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
                }
            }
            super::commands(&bytes);
            super::restore(&bytes);
            super::restore(&body);
        }
    }
}
