//! Policies as they are checked: every name looked up, every record expanded, nothing left to go wrong.

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

use foldhash::fast::RandomState;
use memchr::memchr_iter;

use crate::{
    path::{Path, Segment, Selector, Selectors},
    policy::{
        host::{without_dot, without_port},
        router::Router,
        terms::{Art9, LegalBasis, Method},
    },
    source::Place,
    transform::Action,
};

/// Something by a name of the policies. Nobody but their authors says which names there are, so that the hash need not
/// withstand chosen ones.
pub(crate) type ByName<T> = HashMap<String, T, RandomState>;

/// Policies as they are checked: every name is looked up, every record written out, and nothing is wrong.
///
/// A [`PolicySet`](crate::policy::PolicySet) has the plans besides.
pub(crate) struct Policies {
    pub(crate) digest: Digest,
    pub(crate) sources: Vec<SourceLines>,
    /// The first is `public`.
    pub(crate) categories: Vec<Category>,
    pub(crate) purposes: Vec<Purpose>,
    pub(crate) callers: Vec<Caller>,
    pub(crate) apis: Vec<Api>,
    pub(crate) callers_by_name: ByName<usize>,
    pub(crate) purposes_by_name: ByName<usize>,
    pub(crate) apis_by_host: ByName<usize>,
    /// The API without `host`.
    pub(crate) hostless: Option<usize>,
}

impl Policies {
    /// Each route, with its API.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&Api, &Route)> + Clone {
        self.apis.iter().flat_map(|api| api.routes.iter().map(move |route| (api, route)))
    }

    /// Whether an API is one of those of a caller, and of one of its purposes.
    pub(crate) fn is_for(&self, caller: &Caller, purpose: PurposeId, api: ApiId) -> bool {
        let purpose = self.purpose(purpose);
        caller.apis.has(api) && purpose.is_some_and(|purpose| purpose.apis.has(api))
    }

    /// The API that names the host; only if none does, the one without `host`.
    pub(crate) fn api_for(&self, host: Option<&str>) -> Option<&Api> {
        let named = host.and_then(|host| {
            let mut host = Cow::Borrowed(without_dot(without_port(host)));
            if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                host.to_mut().make_ascii_lowercase();
            }
            self.apis_by_host.get(&*host)
        });
        self.apis.get(*named.or(self.hostless.as_ref())?)
    }

    pub(crate) fn purpose_named(&self, name: &str) -> Option<PurposeId> {
        self.purposes_by_name.get(name).copied().map(PurposeId)
    }

    pub(crate) fn caller_named(&self, name: &str) -> Option<&Caller> {
        self.callers_by_name.get(name).and_then(|index| self.callers.get(*index))
    }

    pub(crate) fn purpose(&self, id: PurposeId) -> Option<&Purpose> {
        self.purposes.get(id.0)
    }

    pub(crate) fn category_name(&self, id: CategoryId) -> &str {
        self.categories.get(id.index()).map_or("public", |category| &category.name)
    }
}

/// The SHA-256 of the names and bytes of the policy files; tests do not count.
///
/// Its `Display` shows the first twelve digits, or all of them with `{:#}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) Arc<str>);

impl Digest {
    /// All 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All 64 hexadecimal digits, to keep without a copy.
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if f.alternate() { &*self.0 } else { self.0.get(..12).unwrap_or(&self.0) };
        f.write_str(shown)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The name of a source and where its lines begin: enough to say `crm.yaml:12` without the text.
pub(crate) struct SourceLines {
    pub(crate) name: String,
    starts: Vec<usize>,
}

impl SourceLines {
    pub(crate) fn new(name: &str, text: &str) -> SourceLines {
        let breaks = memchr_iter(b'\n', text.as_bytes());
        let starts = std::iter::once(0).chain(breaks.map(|at| at + 1)).collect();
        SourceLines { name: name.to_owned(), starts }
    }

    /// The line that holds the byte at `offset`, counted from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}

/// The category that is counted for a body that passes as it is.
pub const OPAQUE: &str = "opaque";

/// Which category: an index into a set's categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CategoryId(pub(crate) u32);

impl CategoryId {
    /// The built-in category of what is never withheld.
    pub(crate) const PUBLIC: CategoryId = CategoryId(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which purpose: an index into a set's purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PurposeId(pub(crate) usize);

/// Which API: an index into a set's APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ApiId(pub(crate) usize);

/// Which route: its place among the routes of all APIs of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteId(pub(crate) usize);

/// The APIs that a caller or a purpose is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Apis {
    /// All of them: nothing is said.
    #[default]
    All,
    /// These.
    Listed(Vec<ApiId>),
}

impl Apis {
    /// Whether this is one of them.
    pub(crate) fn has(&self, api: ApiId) -> bool {
        match self {
            Self::All => true,
            Self::Listed(listed) => listed.contains(&api),
        }
    }
}

/// A kind of data.
pub(crate) struct Category {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Art. 9 data, and where that is said: there, or at a category above it.
    pub(crate) special: Option<Place>,
    /// Has so few values that a pseudonym hides nothing, and where that is said.
    pub(crate) few_values: Option<Place>,
    /// Only a rule for its whole name gives it out, and where that is said.
    pub(crate) explicit: Option<Place>,
    pub(crate) at: Place,
}

/// Why somebody asks, and what that lets through.
pub struct Purpose {
    /// Its name, as callers declare it.
    pub name: Arc<str>,
    /// What people read.
    pub title: String,
    /// Art. 6(1) GDPR.
    pub legal_basis: LegalBasis,
    /// Art. 9(2) GDPR, if it is about special categories.
    pub art9: Option<Art9>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its code in a vocabulary of the trade, such as HL7's.
    pub code: Option<String>,
    /// Its term in the Data Privacy Vocabulary.
    pub dpv: Option<String>,
    /// The APIs that it is for.
    pub(crate) apis: Apis,
    pub(crate) at: Place,
    /// Whether `art9` is written at all, rightly or not.
    pub(crate) declares_art9: bool,
    pub(crate) rules: Vec<Rule>,
    /// Whether anything is written about it under `rules`, be it that there is no rule.
    pub(crate) has_rules: bool,
    /// For each category, which of `rules` decides.
    pub(crate) resolved: Vec<Option<usize>>,
    /// For each category, which of `rules` would decide if it were not explicit.
    pub(crate) covering: Vec<Option<usize>>,
}

static KEEP: Action = Action::Keep;
static DROP: Action = Action::Drop;

impl Purpose {
    /// The rule that decides about a category; none for `public`, and where nothing is said.
    pub(crate) fn rule(&self, category: CategoryId) -> Option<&Rule> {
        let index = self.resolved.get(category.index()).copied().flatten()?;
        self.rules.get(index)
    }

    /// The rule that does not count for a category because it does not spell its whole name.
    pub(crate) fn rule_too_wide(&self, category: CategoryId) -> Option<&Rule> {
        let index = self.covering.get(category.index()).copied().flatten()?;
        if self.rule(category).is_some() { None } else { self.rules.get(index) }
    }

    /// What happens to a category: nothing said is `drop`.
    pub(crate) fn action(&self, category: CategoryId) -> &Action {
        if category == CategoryId::PUBLIC {
            return &KEEP;
        }
        self.rule(category).map_or(&DROP, |rule| &rule.action)
    }
}

impl fmt::Debug for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purpose").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One line under `rules`.
pub(crate) struct Rule {
    /// A category, a dotted prefix of one, or `*`.
    pub(crate) selector: String,
    pub(crate) action: Action,
    pub(crate) at: Place,
}

/// Whether `selector` is `*`, the category or a dotted prefix of it.
pub(crate) fn covers(selector: &str, category: &str) -> bool {
    selector == "*"
        || category
            .strip_prefix(selector)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `a.b.c`, `a.b`, `a`: all that can cover a category but `*`.
pub(crate) fn self_and_prefixes(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once('.').map(|(prefix, _)| prefix))
}

/// Who asks.
#[derive(Debug)]
pub struct Caller {
    /// Its name.
    pub name: Arc<str>,
    /// How it is recognised.
    pub identify: Identify,
    pub(crate) purposes: Vec<PurposeId>,
    /// The APIs that it may use.
    pub(crate) apis: Apis,
    pub(crate) at: Place,
}

/// How a caller is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identify {
    /// By an API key, which the settings know under this name.
    ApiKey(String),
    /// By being there: the only process that can reach the listener.
    Sidecar,
}

/// What happens to a node that no path classifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclassified {
    /// It is removed.
    Drop,
    /// It leaves undecided.
    Keep {
        /// Why, in the words of the author.
        because: String,
    },
}

/// An upstream as the policies see it.
pub struct Api {
    pub(crate) id: ApiId,
    /// Its name; the settings give its address under the same one.
    pub name: Arc<str>,
    /// The hosts whose requests belong to it, lower-case; none takes what no other API names.
    pub hosts: Vec<String>,
    /// What can be asked for.
    pub routes: Vec<Route>,
    /// Request headers that go on besides the built-in list, lower-case.
    pub request_headers: Vec<String>,
    /// Response headers that can go out besides the built-in list.
    pub(crate) response_headers: Vec<Header>,
    /// Which pages of other origins may ask from a browser; none may, if nothing is said.
    pub(crate) cors: Option<Cors>,
    /// What happens to what no path classifies, outside records.
    pub unclassified: Unclassified,
    pub(crate) at: Place,
    pub(crate) routers: HashMap<Method, Router, RandomState>,
}

/// Which pages of other origins may ask from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cors {
    /// As browsers say them: scheme and host, lower-case, and the port unless it is the scheme's.
    pub(crate) origins: Vec<String>,
    pub(crate) because: String,
}

/// A response header that the policies know, and of which category its value is.
pub(crate) struct Header {
    /// Lower-case.
    pub(crate) name: String,
    /// As the policy writes it.
    pub(crate) spelled: String,
    pub(crate) category: CategoryId,
    pub(crate) at: Place,
}

impl Api {
    /// Whether browsers are told that pages of other origins may ask.
    pub fn answers_preflights(&self) -> bool {
        self.cors.is_some()
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One thing that can be asked for.
pub struct Route {
    pub(crate) id: RouteId,
    /// The method; HEAD comes here as GET.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub pattern: String,
    /// Whether answers may be packed, as the client likes it.
    pub compresses: bool,
    /// Why a request body goes on as it is; none refuses methods that have one.
    pub request_body: Option<String>,
    /// Why answers pass unread; none has them sieved.
    pub(crate) pass: Option<Pass>,
    /// Media types that pass as they are.
    pub(crate) media: Vec<Media>,
    /// Why validators are given out; none keeps them here.
    pub(crate) validators: Option<String>,
    /// Method and pattern: the label of metrics.
    pub(crate) label: Arc<str>,
    pub(crate) parameters: Vec<Parameter>,
    /// Whether query parameters that are not listed go on, and why.
    pub(crate) open: Option<String>,
    /// What is said about streams, if anything is.
    pub(crate) stream: Option<Arc<Stream>>,
    pub(crate) fields: Vec<Field>,
    pub(crate) keeping: Vec<Keeping>,
    pub(crate) at: Place,
}

/// A rule that lets whatever a route answers pass unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) because: String,
    /// Whether it need not be known who asks, and what for.
    pub(crate) anybody: bool,
}

/// A media type that passes as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// `type/subtype`, lower-case.
    pub(crate) name: String,
    pub(crate) because: String,
    /// The purposes for which it does; none stands for all.
    pub(crate) purposes: Option<Vec<PurposeId>>,
}

impl Media {
    /// Whether it passes for a purpose.
    pub(crate) fn is_for(&self, purpose: PurposeId) -> bool {
        self.purposes.as_ref().is_none_or(|listed| listed.contains(&purpose))
    }
}

/// What a stream of events may say besides documents: texts of the policy's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The names that events may have.
    pub events: Vec<String>,
    /// Data that is no document, and passes where it is one of these.
    pub data: Vec<String>,
}

impl Route {
    /// What is asked of the route's fields, if it had others: a route to look at, that takes no request.
    pub(crate) fn with_fields(&self, fields: Vec<Field>) -> Self {
        Self {
            id: self.id,
            method: self.method,
            pattern: self.pattern.clone(),
            compresses: self.compresses,
            request_body: None,
            pass: None,
            media: Vec::new(),
            validators: None,
            label: Arc::clone(&self.label),
            parameters: Vec::new(),
            open: None,
            stream: self.stream.clone(),
            fields,
            keeping: Vec::new(),
            at: self.at.clone(),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A place where a record stands that keeps what nobody classified.
pub(crate) struct Keeping {
    pub(crate) path: Path,
    pub(crate) because: String,
}

/// One parameter of a route, in its path or in the query.
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// Its letters and digits, folded: parameters that have the same ones are one to some upstreams.
    pub(crate) letters: String,
    pub(crate) in_path: bool,
    pub(crate) rule: ParameterRule,
    pub(crate) at: Place,
}

impl Parameter {
    /// Whether it takes whatever stands there, for its category is `public`.
    pub(crate) fn is_public(&self) -> bool {
        self.categories() == [CategoryId::PUBLIC]
    }

    /// The categories of what stands there, if it is of some.
    pub(crate) fn categories(&self) -> &[CategoryId] {
        match &self.rule {
            ParameterRule::Categories(categories) => categories,
            ParameterRule::Values { .. } | ParameterRule::Pass { .. } => &[],
        }
    }

    /// The first of its categories that a purpose does not keep; without a purpose only `public` is kept.
    pub(crate) fn withheld(&self, purpose: Option<&Purpose>) -> Option<CategoryId> {
        let mut categories = self.categories().iter().copied();
        categories.find(|category| match purpose {
            Some(purpose) => *purpose.action(*category) != Action::Keep,
            None => *category != CategoryId::PUBLIC,
        })
    }
}

/// What a parameter may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParameterRule {
    /// Anything, if the purpose may see each of these categories as it is; there is at least one.
    Categories(Vec<CategoryId>),
    /// One of these.
    Values { values: Vec<String>, because: String },
    /// Anything.
    Pass { because: String },
}

/// One classification of a route once its records are expanded.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) path: Path,
    /// How many of the path's segments are those of the mounts above, written elsewhere.
    pub(crate) own_from: usize,
    pub(crate) class: Class,
    /// The category of the member names that the path's own segments reach without spelling them.
    pub(crate) names: Option<CategoryId>,
    /// The segments that `names` is about, as bits by their index in the path.
    pub(crate) named: u128,
    /// Names that the path's own segments spell wherever they reach some without spelling them.
    pub(crate) spells: Arc<[String]>,
    pub(crate) delta: Delta,
    /// Whether the nodes are texts that hold JSON, and the class is that of what they hold.
    pub(crate) embedded: bool,
    pub(crate) at: Place,
}

/// Whether a value comes in pieces, over several documents of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delta {
    /// Nothing is said about it.
    #[default]
    Unsaid,
    /// It comes whole.
    None,
    /// It comes in pieces, and they are dropped where an action would have to see the whole.
    Drop,
}

impl Field {
    /// Whether `names` is about the names that this segment of the path reaches without spelling them.
    pub(crate) fn names_at(&self, segment: usize) -> bool {
        u32::try_from(segment)
            .ok()
            .and_then(|segment| self.named.checked_shr(segment))
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// The path, with `.*` where `names: public` is about the members there: it is not about all of `[*]`.
    pub(crate) fn written(&self) -> String {
        if self.names != Some(CategoryId::PUBLIC) {
            return self.path.to_string();
        }
        let segments = self.path.segments().iter().enumerate().map(|(index, segment)| {
            if self.names_at(index) {
                return ".*".to_owned();
            }
            Path::of(vec![segment.clone()]).to_string().replacen('$', "", 1)
        });
        std::iter::once("$".to_owned()).chain(segments).collect()
    }

    /// Paths that end in the names which the line lists: what they select is no concern of theirs, only that the
    /// names are spelled there.
    pub(crate) fn spelling(&self) -> impl Iterator<Item = Path> {
        let names: Selectors = self.spells.iter().cloned().map(Selector::Name).collect();
        let own = self.path.segments().iter().enumerate().skip(self.own_from);
        let reaching =
            own.filter(move |(_, segment)| !self.spells.is_empty() && segment.reaches_unspelled());
        reaching.map(move |(index, segment)| {
            let last = Segment { descendant: segment.descendant, selectors: names.clone() };
            let above = self.path.segments().iter().take(index).cloned();
            Path::of(above.chain([last]).collect::<Vec<_>>())
        })
    }

    /// What happens to the nodes of this field for a purpose that does `action` to their category.
    pub(crate) fn action<'a>(&self, action: &'a Action) -> &'a Action {
        match self.delta {
            Delta::Drop if action.reads() => &DROP,
            Delta::Unsaid | Delta::None | Delta::Drop => action,
        }
    }

    /// The categories that this field can give, as values and as names.
    pub(crate) fn categories(&self) -> impl Iterator<Item = CategoryId> + use<> {
        let own = match self.class {
            Class::Category(category) => Some(category),
            Class::Mount { .. } => None,
        };
        own.into_iter().chain(self.names)
    }
}

/// What a [`Field`] says about the nodes that its path selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// They are of this category.
    Category(CategoryId),
    /// A record begins here, which says what happens to what nobody classified in it.
    Mount { keeps_unclassified: bool },
}
