//! The drafts of JSON Schema and how they differ.

/// A version of the specification; they compare by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    V4,
    V6,
    V7,
    V2019,
    V2020,
}

impl Draft {
    /// The draft of a `$schema` URL.
    pub(super) fn from_url(url: &str) -> Option<Self> {
        let url = url.strip_suffix('#').unwrap_or(url);
        let path = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"))?;
        match path {
            "json-schema.org/schema" | "json-schema.org/draft/2020-12/schema" => Some(Self::V2020),
            "json-schema.org/draft/2019-09/schema" => Some(Self::V2019),
            "json-schema.org/draft-07/schema" => Some(Self::V7),
            "json-schema.org/draft-06/schema" => Some(Self::V6),
            "json-schema.org/draft-04/schema" => Some(Self::V4),
            _ => None,
        }
    }

    /// The address of the draft's own schema.
    pub(super) fn url(self) -> &'static str {
        match self {
            Self::V4 => "http://json-schema.org/draft-04/schema",
            Self::V6 => "http://json-schema.org/draft-06/schema",
            Self::V7 => "http://json-schema.org/draft-07/schema",
            Self::V2019 => "https://json-schema.org/draft/2019-09/schema",
            Self::V2020 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// The keyword that names a schema.
    pub(super) fn id_keyword(self) -> &'static str {
        if self == Self::V4 { "id" } else { "$id" }
    }

    /// Keywords whose value is a schema.
    pub(super) fn schema_keywords(self) -> Vec<&'static str> {
        let mut keywords = vec!["not", "additionalProperties", "items", "additionalItems"];
        if self >= Self::V6 {
            keywords.extend(["propertyNames", "contains"]);
        }
        if self >= Self::V7 {
            keywords.extend(["if", "then", "else"]);
        }
        if self >= Self::V2019 {
            keywords.extend(["unevaluatedProperties", "unevaluatedItems", "contentSchema"]);
        }
        keywords
    }

    /// Keywords whose value is a list of schemas.
    pub(super) fn list_keywords(self) -> Vec<&'static str> {
        let mut keywords = vec!["allOf", "anyOf", "oneOf", "items"];
        if self >= Self::V2020 {
            keywords.push("prefixItems");
        }
        keywords
    }

    /// Keywords whose value maps names to schemas.
    pub(super) fn map_keywords(self) -> Vec<&'static str> {
        let mut keywords = vec![
            "definitions",
            "properties",
            "patternProperties",
            "dependencies",
        ];
        if self >= Self::V2019 {
            keywords.extend(["$defs", "dependentSchemas"]);
        }
        keywords
    }
}
