//! Where a run looked, and how often it asked there. What a run before found in another place is not
//! fixed by not being found again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::surface::fits;
use crate::platform::text::excerpt;

/// The places where a run looked, in the words of findings, with how often it asked there.
#[derive(Default)]
pub struct Looked(Mutex<HashMap<String, u64>>);

impl Looked {
    fn places(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at which something is looked for, whatever was asked to that end.
    pub fn at(&self, place: &str) {
        self.places().entry(excerpt(place)).or_default();
    }

    /// A place that is asked once more.
    pub fn asked(&self, place: &str) {
        *self.places().entry(excerpt(place)).or_default() += 1;
    }

    /// How often a place was asked.
    pub fn times(&self, place: &str) -> u64 {
        self.places().get(&excerpt(place)).copied().unwrap_or(0)
    }

    /// Whether something was looked for at a place: by its own words, or at a path of its route.
    pub fn has(&self, place: &str) -> bool {
        let places = self.places();
        let Some((before, route)) = place.split_once(" /") else {
            return places.contains_key(place);
        };
        places.contains_key(place)
            || places
                .keys()
                .filter_map(|known| known.split_once(" /"))
                .any(|(of, path)| of == before && route.contains('{') && fits(route, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_was_looked_at_by_any_of_its_paths_and_nothing_else_was() {
        let looked = Looked::default();
        for place in ["rag GET /items/7", "rag GET /items/7", "rag POST /w"] {
            looked.asked(place);
        }
        for place in ["app:1", "container one", "mcp POST /mcp tool find"] {
            looked.at(place);
        }
        for place in
            ["rag GET /items/{id}", "rag GET /items/7", "app:1", "container one", "rag POST /w"]
        {
            assert!(looked.has(place), "{place}");
        }
        for place in [
            "rag GET /items/8",
            "chat GET /items/{id}",
            "rag POST /items/{id}",
            "rag GET /items/{id}/parts",
            "app:2",
            "mcp POST /mcp tool drop",
        ] {
            assert!(!looked.has(place), "{place}");
        }
        assert_eq!((looked.times("rag GET /items/7"), looked.times("app:1")), (2, 0));
    }
}
