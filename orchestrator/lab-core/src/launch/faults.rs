//! The table that says why somebody was not let in: a line a rule, with its code, whose turn it is, and words in both languages.

/// Makes an enum of such a table, with `ALL`, `code`, `next` and `text`.
macro_rules! faults {
    (
        $(#[$about:meta])* $fault:ident, $next:ident;
        $($(#[$doc:meta])* $name:ident = $code:literal, $turn:ident, $en:literal, $fr:literal;)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $fault { $($(#[$doc])* $name,)+ }

        impl $fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The public code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }
            /// Whose turn it is.
            pub fn next(self) -> $next {
                match self { $(Self::$name => $next::$turn,)+ }
            }
            /// What is wrong, in one sentence.
            pub fn text(self) -> $crate::entitlement::Bilingual {
                let (en, fr) = match self { $(Self::$name => ($en, $fr),)+ };
                $crate::entitlement::Bilingual { en: en.to_owned(), fr: fr.to_owned() }
            }
        }
    };
}

pub(crate) use faults;
