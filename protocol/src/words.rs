//! Enums whose variants are words: one declaration gives the variant, its text and the parser.

/// A text that is none of the words of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// What was read.
    pub word: String,
    /// The words that are known.
    pub known: &'static [&'static str],
}

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is none of {}", self.word, self.known.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

/// Declares an enum whose variants are words: `ALL`, `as_str`, `parse`, `Display`, `FromStr` and serde, all from the
/// one list of variants and words. A word is read exactly as it is written; the error names the known ones.
///
/// ```
/// vestibule_protocol::words! {
///     /// How a log line is written.
///     pub enum LogFormat {
///         /// One JSON object a line.
///         Json = "json",
///         /// For people.
///         Pretty = "pretty",
///     }
/// }
/// assert_eq!(LogFormat::parse("json"), Some(LogFormat::Json));
/// assert_eq!(LogFormat::parse("JSON"), None);
/// assert_eq!(LogFormat::parse_any_case("JSON"), Some(LogFormat::Json));
/// assert_eq!(LogFormat::Pretty.as_str(), "pretty");
/// let error = "xml".parse::<LogFormat>().unwrap_err();
/// assert_eq!(error.to_string(), "\"xml\" is none of json, pretty");
/// ```
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: [$name; [$($word),+].len()] = [$($name::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }

            /// Reads the word, exactly as it is written.
            pub fn parse(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// Reads the word in any case, where people and clients write it differently.
            pub fn parse_any_case(word: &str) -> Option<$name> {
                $name::ALL
                    .into_iter()
                    .find(|known| known.as_str().eq_ignore_ascii_case(word))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(word: &str) -> ::std::result::Result<$name, Self::Err> {
                $name::parse(word).ok_or_else(|| $crate::words::UnknownWord {
                    word: word.to_owned(),
                    known: &[$($word),+],
                })
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<$name, D::Error> {
                let word = <::std::string::String as ::serde::Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    words! {
        /// For the test.
        enum Size {
            /// Small.
            Small = "s",
            /// Large.
            Large = "x-l",
        }
    }

    #[test]
    fn a_word_reads_back_as_its_variant_in_every_form() {
        for size in Size::ALL {
            assert_eq!(Size::parse(size.as_str()), Some(size));
            let capitals = size.as_str().to_ascii_uppercase();
            assert_eq!(Size::parse_any_case(&capitals), Some(size));
            let json = serde_json::to_string(&size).unwrap();
            assert_eq!(json, format!("\"{size}\""));
            assert_eq!(serde_json::from_str::<Size>(&json).unwrap(), size);
        }
    }

    #[test]
    fn another_text_is_refused_and_the_error_names_the_known_words() {
        for text in ["", "S", "s ", "xl"] {
            assert_eq!(Size::parse(text), None, "{text:?}");
        }
        for text in ["", "s ", "xl"] {
            assert_eq!(Size::parse_any_case(text), None, "{text:?}");
        }
        let error = serde_json::from_str::<Size>("\"m\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"m\" is none of s, x-l"), "{error}");
    }
}
