//! Where unclassified data was withheld: a list for whoever writes the policies.
//!
//! It holds names of the policies and nothing of a document: see [`Places`]. Only places under the policies in
//! force are listed, for under others they may have been classified.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use serde::Serialize;

use crate::{access::AccessRecord, enforce::Places};

/// Most places that are listed.
const PLACES_MAX: usize = 1000;

/// The digits of a digest of policies that tell it from others.
const DIGEST_DIGITS: usize = 12;

const TARGET: &str = "tamis::unclassified";

/// The list. What has no room is counted.
#[derive(Debug, Default)]
pub struct Unclassified(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    /// The policies that the places were found under.
    policy: Option<Arc<str>>,
    /// By api and route, then by path.
    places: BTreeMap<(Arc<str>, Arc<str>), BTreeMap<String, Seen>>,
    count: usize,
    left_out: u64,
}

#[derive(Debug)]
struct Seen {
    first: SystemTime,
    responses: u64,
}

impl Unclassified {
    /// Notes the places of one response. It was decided under policies that were in force when it ended.
    pub(super) fn note(&self, record: &AccessRecord, places: Places) {
        if places.paths.is_empty() && !places.left_out {
            return;
        }
        let key = (Arc::clone(&record.labels.api), Arc::clone(&record.labels.route));
        let mut new = Vec::new();
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = &mut *found;
        if found.policy != record.policy {
            *found = Found { policy: record.policy.clone(), ..Found::default() };
        }
        let mut left_out = places.left_out;
        for path in places.paths {
            let seen = found.places.get_mut(&key).and_then(|of_route| of_route.get_mut(&path));
            if let Some(seen) = seen {
                seen.responses += 1;
            } else if found.count < PLACES_MAX {
                found.count += 1;
                new.push(path.clone());
                let seen = Seen { first: record.time, responses: 1 };
                found.places.entry(key.clone()).or_default().insert(path, seen);
            } else {
                left_out = true;
            }
        }
        found.left_out += u64::from(left_out);
        for path in new {
            let (api, route) = (&record.labels.api, &record.labels.route);
            log::debug!(target: TARGET, "unclassified data withheld: {api}, {route}, {path}");
        }
    }

    /// The list as JSON, if these are the policies that it is about; else there is nothing on it.
    pub(super) fn render(&self, policy: Option<&str>) -> String {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = found.policy.is_some() && found.policy.as_deref() == policy;
        let places = found.places.iter().flat_map(|((api, route), paths)| {
            paths.iter().map(move |(path, seen)| Listed {
                api,
                route,
                path,
                first_seen: format!(
                    "{:.3}",
                    jiff::Timestamp::try_from(seen.first).unwrap_or_default()
                ),
                responses: seen.responses,
            })
        });
        let list = List {
            policy: policy.map(|digest| digest.get(..DIGEST_DIGITS).unwrap_or(digest)),
            places: places.filter(|_| is_current).collect(),
            left_out: if is_current { found.left_out } else { 0 },
        };
        // There is nothing in it that could not be written.
        serde_json::to_string_pretty(&list).unwrap_or_default() + "\n"
    }
}

#[derive(Serialize)]
struct List<'a> {
    policy: Option<&'a str>,
    places: Vec<Listed<'a>>,
    /// Responses with a place that had no room.
    left_out: u64,
}

#[derive(Serialize)]
struct Listed<'a> {
    api: &'a str,
    route: &'a str,
    path: &'a str,
    first_seen: String,
    responses: u64,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::Value;

    use super::*;
    use crate::access::{Decision, Labels};

    fn record(policy: &str, route: &str) -> AccessRecord {
        AccessRecord {
            time: UNIX_EPOCH,
            trace: None,
            labels: Labels { api: "crm".into(), route: route.into(), ..Labels::unknown() },
            decision: Decision::Allowed,
            reason: None,
            status: Some(200),
            policy: Some(policy.into()),
            counts: Vec::new(),
            unclassified: true,
            duration: Duration::ZERO,
            overhead: Duration::ZERO,
        }
    }

    fn places(paths: &[&str]) -> Places {
        Places { paths: paths.iter().map(|path| (*path).to_owned()).collect(), left_out: false }
    }

    fn listed(list: &Unclassified, policy: &str) -> Value {
        serde_json::from_str(&list.render(Some(policy))).unwrap()
    }

    #[test]
    fn places_are_listed_once_and_counted_by_response() {
        let list = Unclassified::default();
        list.note(&record("one", "GET /a"), places(&["$.*", "$.items[*].*"]));
        list.note(&record("one", "GET /a"), places(&["$.*"]));
        list.note(&record("one", "GET /b"), places(&["$.*"]));
        list.note(&record("one", "GET /c"), places(&[]));
        let place = |route: &str, path: &str, responses: u64| {
            serde_json::json!({ "api": "crm", "route": route, "path": path,
                "first_seen": "1970-01-01T00:00:00.000Z", "responses": responses })
        };
        let expected = [
            place("GET /a", "$.*", 2),
            place("GET /a", "$.items[*].*", 1),
            place("GET /b", "$.*", 1),
        ];
        assert_eq!(
            listed(&list, "one"),
            serde_json::json!({ "policy": "one", "places": expected, "left_out": 0 })
        );
        // Under other policies it may be classified.
        assert_eq!(listed(&list, "two")["places"], serde_json::json!([]));
        list.note(&record("two", "GET /b"), places(&["$.*"]));
        assert_eq!(listed(&list, "two")["places"], serde_json::json!([place("GET /b", "$.*", 1)]));
        assert_eq!(listed(&list, "one")["places"], serde_json::json!([]));
        assert_eq!(
            serde_json::from_str::<Value>(&list.render(None)).unwrap(),
            serde_json::json!({ "policy": null, "places": [], "left_out": 0 })
        );
    }

    #[test]
    fn the_list_has_an_end() {
        let list = Unclassified::default();
        for route in 0..PLACES_MAX + 500 {
            list.note(&record("one", &format!("GET /{route}")), places(&["$.*"]));
        }
        list.note(&record("one", "GET /0"), places(&["$.*", "$.more.*", "$.most.*"]));
        list.note(&record("one", "GET /0"), Places { paths: Vec::new(), left_out: true });
        let listed = listed(&list, "one");
        assert_eq!(listed["places"].as_array().unwrap().len(), PLACES_MAX);
        assert_eq!(listed["places"][0]["responses"], 2);
        assert_eq!(listed["left_out"], 502);
        assert!(
            list.0.lock().unwrap().places.len() <= PLACES_MAX,
            "nor do routes without a place grow"
        );
    }
}
