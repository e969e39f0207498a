//! The terms of the law and of HTTP that a policy can use, each a closed list.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// All of them, in the order of the law.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// As a policy spells it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The one that a policy spells so.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.word() == word)
            }
        }

        impl fmt::Display for $name {
            /// In plain words.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),* })
            }
        }
    };
}

words! {
    /// On what ground of Art. 6(1) GDPR a purpose stands; those that need a look at each person are
    /// not supported yet.
    LegalBasis {
        /// Art. 6(1)(b).
        Contract = "contract", "a contract with the person, Art. 6(1)(b) GDPR";
        /// Art. 6(1)(c).
        LegalObligation = "legal_obligation", "a legal obligation, Art. 6(1)(c) GDPR";
        /// Art. 6(1)(d).
        VitalInterests = "vital_interests", "vital interests, Art. 6(1)(d) GDPR";
        /// Art. 6(1)(e).
        PublicTask = "public_task", "a task in the public interest, Art. 6(1)(e) GDPR";
    }
}

words! {
    /// Which exception of Art. 9(2) GDPR lets a purpose see special categories of data.
    Art9 {
        /// Art. 9(2)(b).
        SocialProtection = "social_protection", "employment and social protection, Art. 9(2)(b) GDPR";
        /// Art. 9(2)(c).
        Vital = "vital", "vital interests, Art. 9(2)(c) GDPR";
        /// Art. 9(2)(d).
        Members = "members", "members of a not-for-profit body, Art. 9(2)(d) GDPR";
        /// Art. 9(2)(e).
        MadePublic = "made_public", "data that the person made public, Art. 9(2)(e) GDPR";
        /// Art. 9(2)(f).
        LegalClaims = "legal_claims", "legal claims, Art. 9(2)(f) GDPR";
        /// Art. 9(2)(g).
        PublicInterest = "public_interest", "substantial public interest, Art. 9(2)(g) GDPR";
        /// Art. 9(2)(h).
        Care = "care", "health or social care, Art. 9(2)(h) GDPR";
        /// Art. 9(2)(i).
        PublicHealth = "public_health", "public health, Art. 9(2)(i) GDPR";
        /// Art. 9(2)(j).
        Research = "research", "archives, research and statistics, Art. 9(2)(j) GDPR";
    }
}

words! {
    /// The methods that a route can have; HEAD uses the route of GET.
    Method {
        /// Reads.
        Get = "GET", "GET";
        /// Sends something.
        Post = "POST", "POST";
        /// Replaces.
        Put = "PUT", "PUT";
        /// Changes.
        Patch = "PATCH", "PATCH";
        /// Deletes.
        Delete = "DELETE", "DELETE";
    }
}

impl Method {
    /// Whether requests of this method carry a body as a matter of course.
    pub fn has_body(self) -> bool {
        match self {
            Self::Post | Self::Put | Self::Patch => true,
            Self::Get | Self::Delete => false,
        }
    }
}
