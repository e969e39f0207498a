//! Which route takes a path, and which one an upstream could take it for.

use std::borrow::Cow;

use matchit::InsertError;

use crate::policy::{folded, target::Target};

/// The routes of one method of an API, by their indices.
#[derive(Default)]
pub(crate) struct Router {
    exact: matchit::Router<Pattern>,
    /// The same routes with the fixed text of their patterns folded.
    folded: matchit::Router<usize>,
    /// Those whose folded text ends in an extension, without it.
    shortened: matchit::Router<usize>,
    /// Those that some servers take for more than their pattern says, by what more they take: `/files/{*rest}` by `/files`, and
    /// `/export.php` by `/export.php/{*rest}`.
    extended: matchit::Router<usize>,
}

/// So many extensions of a last segment are taken off, one after the other.
const EXTENSIONS_MAX: usize = 64;

/// A route, and how much of its pattern is fixed text.
struct Pattern {
    route: usize,
    is_fixed: bool,
    ends_fixed: bool,
}

/// The parameters of a path, by name.
pub(crate) type Parameters<'s, 't> = Vec<(&'s str, &'t str)>;

/// The route that takes a path.
pub(crate) struct Match<'s, 't> {
    pub(crate) route: usize,
    pub(crate) parameters: Parameters<'s, 't>,
    /// Set if an upstream could take the path for that of another route.
    pub(crate) misread: Option<Misread>,
}

/// How an upstream could read a path that does not belong to the route which takes it, once it is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misread {
    /// As one of this route.
    Route(usize),
    /// As one that no route takes.
    NoRoute,
}

impl Router {
    /// Adds a route.
    pub(crate) fn insert(&mut self, pattern: &str, route: usize) -> Result<(), InsertError> {
        let is_fixed = pattern.split('/').all(is_fixed);
        let ends_fixed = pattern.split('/').next_back().is_some_and(self::is_fixed);
        self.exact.insert(pattern, Pattern { route, is_fixed, ends_fixed })?;
        let folded = folded_pattern(pattern);
        if let Some(shortened) = folded::without_extension(&folded).filter(|_| ends_fixed) {
            // One that cannot be told from another one there is another route all the same.
            let _one_is_enough = self.shortened.insert(shortened, route);
        }
        if let Some(extended) = extended(&folded) {
            let _one_is_enough = self.extended.insert(extended, route);
        }
        self.folded.insert(folded, route)
    }

    /// Whether a route takes a request.
    pub(crate) fn takes(&self, target: &Target) -> bool {
        self.at(target).is_some_and(|found| found.misread.is_none())
    }

    /// The route that takes a request.
    pub(crate) fn at<'s, 't>(&'s self, target: &'t Target) -> Option<Match<'s, 't>> {
        let matched = self.exact.at(target.path()).ok()?;
        Some(Match {
            route: matched.value.route,
            parameters: matched.params.iter().collect(),
            misread: self.misread(target, matched.value),
        })
    }

    fn misread(&self, target: &Target, pattern: &Pattern) -> Option<Misread> {
        let other = |found: Option<usize>| match found {
            Some(found) if found == pattern.route => None,
            Some(found) => Some(Misread::Route(found)),
            None => Some(Misread::NoRoute),
        };
        // Some compare fixed text with what they have not decoded yet.
        if let Some(undecoded) = target.undecoded() {
            let found = self.exact.at(undecoded).ok().map(|found| found.value.route);
            if let Some(misread) = other(found) {
                return Some(misread);
            }
        }
        if pattern.is_fixed {
            return None;
        }
        let Some(folded) = folded::path(target.path()) else { return Some(Misread::NoRoute) };
        let at = |path: &str| self.folded.at(path).ok().map(|found| *found.value);
        if let Some(misread) = other(at(&folded)) {
            return Some(misread);
        }
        if pattern.ends_fixed {
            return None;
        }
        let lenient = |path: &str| {
            let found = [&self.shortened, &self.extended].into_iter();
            let mut found = found.filter_map(|router| router.at(path).ok().map(|it| *it.value));
            found.find_map(|found| other(Some(found)))
        };
        if let Some(misread) = lenient(&folded) {
            return Some(misread);
        }
        // Some servers take all behind a dot for an extension, and others only what is behind the last one.
        let mut shorter = folded::without_extension(&folded);
        for _ in 0..EXTENSIONS_MAX {
            let path = shorter?;
            if let Some(misread) = other(at(&path)).or_else(|| lenient(&path)) {
                return Some(misread);
            }
            shorter = folded::without_extension(&path).map(Cow::into_owned).map(Cow::Owned);
        }
        Some(Misread::NoRoute)
    }
}

/// What else some servers take for a route with this folded pattern: a catch-all without anything to catch (ASP.NET), and
/// what stands behind a script, which is told it (`PATH_INFO` of RFC 3875, section 4.1.5).
fn extended(folded: &str) -> Option<String> {
    let (above, last) = folded.rsplit_once('/')?;
    if !is_fixed(last) {
        let ends_fixed = above.rsplit_once('/').is_some_and(|(_, last)| is_fixed(last));
        return (last.starts_with("{*") && ends_fixed).then(|| above.to_owned());
    }
    let is_script = folded::without_extension(folded).is_some();
    is_script.then(|| format!("{folded}/{{*path_info}}"))
}

/// A pattern whose fixed text is folded: two patterns of one shape differ in the names of their parameters only.
pub(crate) fn folded_pattern(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| {
        if is_fixed(segment) {
            // What is folded can have braces, which are no parameter.
            let text = folded::path(segment).unwrap_or(segment.into());
            text.replace('{', "{{").replace('}', "}}")
        } else {
            segment.to_owned()
        }
    });
    let folded = segments.collect::<Vec<_>>().join("/");
    let end = folded.trim_end_matches('/').len().max(1);
    folded.get(..end).unwrap_or_default().to_owned()
}

/// Whether a segment of a pattern is text, not a parameter.
pub(crate) fn is_fixed(segment: &str) -> bool {
    !segment.starts_with('{') || segment.starts_with("{{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_servers_take_more_than_a_pattern_says() {
        let other = |route| Some(Misread::Route(route));
        let customers = ["/c/{id}", "/c/export"];
        for path in ["/c/export.tar.gz", "/c/export.json.json", "/c/EXPORT.a.b.c", "/c/ export"] {
            check(&customers, path, Some((customers[0], other(1))));
        }
        for path in ["/c/a.b@c.org", "/c/1.2.3.4", "/c/my.export", "/c/exports.tar.gz"] {
            check(&customers, path, Some((customers[0], None)));
        }
        let many = format!("/c/a{}", ".b".repeat(EXTENSIONS_MAX + 1));
        check(&customers, &many, Some((customers[0], Some(Misread::NoRoute))));
        // A catch-all that catches nothing.
        let files = ["/{x}", "/files/{*rest}"];
        for path in ["/files", "/FILES", "/files.json"] {
            check(&files, path, Some((files[0], other(1))));
        }
        check(&files, "/other", Some((files[0], None)));
        let each = ["/c/{id}", "/c/{id}/{*rest}"];
        check(&each, "/c/7", Some((each[0], None)));
        // A script that is told what stands behind it.
        let scripts = ["/a/{*rest}", "/a/export.php"];
        check(&scripts, "/a/export.php/x.css", Some((scripts[0], other(1))));
        check(&scripts, "/a/export/x.css", Some((scripts[0], None)));
    }

    /// Which route takes a path, and which one an upstream could take it for.
    #[track_caller]
    fn check(patterns: &[&str], path: &str, expected: Option<(&str, Option<Misread>)>) {
        let mut router = Router::default();
        for (route, pattern) in patterns.iter().enumerate() {
            router.insert(pattern, route).unwrap();
        }
        let target = Target::parse("GET", &encoded(path)).unwrap();
        let found = router.at(&target);
        let found = found.map(|found| (patterns[found.route], found.misread));
        assert_eq!(found, expected, "{path}");
    }

    /// A path as a request has it: what cannot stand there is encoded.
    fn encoded(path: &str) -> String {
        let is_fine = |byte: u8| byte.is_ascii_graphic() && !b"?#{}".contains(&byte);
        let bytes = path.bytes().map(|byte| {
            if is_fine(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }
        });
        bytes.collect::<Vec<_>>().concat()
    }

    #[test]
    fn fixed_text_is_not_encoded() {
        let patterns = ["/c/list", "/c/{id}", "/p/{id}/$all", "/caf\u{e9}/{id}"];
        let [to_one] = [1].map(Misread::Route);
        check(&patterns, "/c/li%73t", Some(("/c/list", Some(to_one))));
        check(&patterns, "/c/%4c%69st", Some(("/c/{id}", Some(Misread::Route(0)))));
        check(&patterns, "/c/C%401", Some(("/c/{id}", None)));
        check(&patterns, "/p/1/$all", Some(("/p/{id}/$all", None)));
        check(&patterns, "/p/1/%24all", Some(("/p/{id}/$all", Some(Misread::NoRoute))));
        check(&patterns, "/p/%31/$all", Some(("/p/{id}/$all", None)));
        check(&patterns, "/caf%C3%A9/1", Some(("/caf\u{e9}/{id}", None)));
        check(&patterns, "/%63af%C3%A9/1", Some(("/caf\u{e9}/{id}", Some(Misread::NoRoute))));
    }

    #[test]
    fn an_extension_of_a_route_can_be_left_out() {
        let patterns = ["/y/{id}", "/y/report.json", "/y/report.csv", "/z/{*file}"];
        let to_report = Some(("/y/{id}", Some(Misread::Route(1))));
        for path in ["/y/report", "/y/REPORT.xml", "/y/report.", "/y/Report.json"] {
            check(&patterns, path, to_report);
        }
        check(&patterns, "/y/report.csv", Some(("/y/report.csv", None)));
        check(&patterns, "/y/reports", Some(("/y/{id}", None)));
    }

    #[test]
    fn a_path_that_folds_to_another_route_is_misread() {
        let patterns = ["/customers/{id}", "/customers/export", "/{*file}", "/Docs/Users.json"];
        let one = |misread| Some(("/customers/{id}", misread));
        let file = |misread| Some(("/{*file}", misread));
        let [to_one, to_export, to_users] = [0, 1, 3].map(Misread::Route);
        for (path, expected) in [
            ("/customers/C-1042", one(None)),
            ("/customers/exports", one(None)),
            ("/customers/export", Some(("/customers/export", None))),
            ("/customers/EXPORT", one(Some(to_export))),
            ("/customers/export.json", one(Some(to_export))),
            ("/customers/export..JSON", one(Some(to_export))),
            ("/customers/export.tar.gz", one(Some(to_export))),
            ("/customers/export ", one(Some(to_export))),
            ("/customers/e\u{ff58}port", one(Some(to_export))),
            ("/customers/\u{ff05}65xport", one(Some(to_export))),
            ("/customers/export/", file(Some(to_export))),
            ("/customers/C-1042/", file(Some(to_one))),
            ("/Customers/C-1042", file(Some(to_one))),
            ("/customers\u{ff0f}1", file(Some(to_one))),
            ("/assets/app.js", file(None)),
            ("/assets/", file(None)),
            ("/docs/users.json", file(Some(to_users))),
            ("/Docs/Users.json", Some(("/Docs/Users.json", None))),
            // The route's own extension, left out.
            ("/docs/users", file(Some(to_users))),
            ("/...", file(Some(Misread::NoRoute))),
            ("/\u{ff05}ff", file(Some(Misread::NoRoute))),
            ("/x/.. /customers/7", file(Some(Misread::NoRoute))),
            ("/x/\u{2025}/customers/7", file(Some(Misread::NoRoute))),
            ("/customers/export?x", one(Some(to_export))),
            ("/customers/export\u{ff1b}x", one(Some(to_export))),
            ("/customers/C#", one(None)),
        ] {
            check(&patterns, path, expected);
        }
        check(&["/a/{x}/c.json", "/a/{x}/c"], "/a/1/c.json", Some(("/a/{x}/c.json", None)));
        check(
            &["/a/{x}/c.json", "/a/{x}/c", "/a/{x}/{y}"],
            "/a/1/C.json",
            Some(("/a/{x}/{y}", Some(Misread::Route(0)))),
        );
        check(
            &["/s/{file}", "/{*all}"],
            "/s/\u{2025}\u{ff0f}x",
            Some(("/s/{file}", Some(Misread::NoRoute))),
        );
        check(&["/s/{file}"], "/s/\u{2025}\u{ff0f}x", Some(("/s/{file}", Some(Misread::NoRoute))));
    }

    #[test]
    fn the_text_of_a_pattern_is_folded() {
        for (pattern, expected) in [
            ("/", "/"),
            ("/Customers/{Id}/Photo.", "/customers/{Id}/photo"),
            ("/a/", "/a"),
            ("/a/{*Rest}", "/a/{*Rest}"),
            ("/\u{ff5b}x\u{ff5d}", "/{{x}}"),
        ] {
            assert_eq!(folded_pattern(pattern), expected);
        }
        check(
            &["/\u{ff5b}x\u{ff5d}", "/{*file}"],
            "/{x}",
            Some(("/{*file}", Some(Misread::Route(0)))),
        );
    }
}
