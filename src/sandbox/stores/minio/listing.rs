//! Listings: keys in the order of their bytes, in pages, with common prefixes in place of keys.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::bucket::Object;

/// Most names of a page.
pub const PAGE: usize = 1000;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Only names that begin with it.
    pub prefix: &'a str,
    /// Names that have it behind the prefix are named together.
    pub delimiter: &'a str,
    /// Only names after it.
    pub after: &'a str,
    /// Most names of the page.
    pub most: usize,
}

/// A page.
#[derive(Debug, Default)]
pub struct Page<'a> {
    /// Keys with their objects.
    pub objects: Vec<(&'a String, &'a Object)>,
    /// Prefixes that several keys share.
    pub prefixes: Vec<String>,
    /// The last name of the page when there are more.
    pub more_after: Option<String>,
}

impl Page<'_> {
    /// How many names it has.
    pub fn len(&self) -> usize {
        self.objects.len() + self.prefixes.len()
    }
}

/// A page of a bucket.
pub fn page<'a>(objects: &'a BTreeMap<String, Object>, asked: Asked<'_>) -> Page<'a> {
    let mut page = Page::default();
    let mut last = asked.after.to_owned();
    let begin = if asked.prefix > asked.after {
        Bound::Included(asked.prefix)
    } else {
        Bound::Excluded(asked.after)
    };
    for (key, object) in objects.range::<str, _>((begin, Bound::Unbounded)) {
        let Some(rest) = key.strip_prefix(asked.prefix) else { break };
        let shared = match asked.delimiter {
            "" => None,
            delimiter => rest
                .find(delimiter)
                .map(|at| key[..asked.prefix.len() + at + delimiter.len()].to_owned()),
        };
        // A prefix is named once, and not again on a page that begins with it.
        if shared.as_ref().is_some_and(|shared| *shared == last || asked.after == shared) {
            continue;
        }
        if page.len() == asked.most {
            page.more_after = Some(last);
            return page;
        }
        match shared {
            Some(shared) => {
                last.clone_from(&shared);
                page.prefixes.push(shared);
            }
            None => {
                last.clone_from(key);
                page.objects.push((key, object));
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::bucket::{Headers, Tags};
    use super::*;

    fn objects(keys: &[String]) -> BTreeMap<String, Object> {
        let object = Object::new(Bytes::new(), String::new(), Headers::default(), Tags::new());
        keys.iter().map(|key| (key.clone(), object.clone())).collect()
    }

    proptest! {
        #[test]
        fn pages_together_name_everything_once(
            keys in proptest::collection::vec("[ab/]{1,5}", 0..20),
            prefix in "[ab/]{0,2}",
            delimiter in "/?",
            most in 1_usize..4,
        ) {
            let objects = objects(&keys);
            let (mut after, mut found) = (String::new(), Vec::new());
            loop {
                let asked = Asked { prefix: &prefix, delimiter: &delimiter, after: &after, most };
                let page = page(&objects, asked);
                prop_assert!(page.len() <= most);
                found.extend(page.objects.iter().map(|(key, _)| (*key).clone()));
                found.extend(page.prefixes);
                match page.more_after {
                    Some(last) => after = last,
                    None => break,
                }
            }
            let mut expected: Vec<String> = objects.keys().filter_map(|key| {
                let rest = key.strip_prefix(&prefix)?;
                Some(match rest.find('/').filter(|_| delimiter == "/") {
                    Some(at) => key[..prefix.len() + at + 1].to_owned(),
                    None => key.clone(),
                })
            }).collect();
            expected.dedup();
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
