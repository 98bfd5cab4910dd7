//! All identity schemas of a server: by id, with the document as it is served under `/schemas`.
//! Start and reload build it, stories choose from it, `http` lists it.
//! The only part of `schema` that reads files, and only when told to load a URL.

use std::io::Read as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::{IdentitySchema, MAX_DOCUMENT, SchemaError};

/// Where a schema comes from (`identity.schemas[]`).
#[derive(Clone, Copy, Debug)]
pub struct SchemaSource<'a> {
    /// The id that identities name it by.
    pub id: &'a str,
    /// `file://` or `base64://`.
    pub url: &'a str,
    /// Whether `?identity_schema=` may choose it.
    pub selfservice_selectable: bool,
}

/// A loaded schema.
#[derive(Clone, Debug)]
pub struct SchemaEntry {
    /// Compiled.
    pub schema: IdentitySchema,
    /// The document as it was loaded.
    pub document: Arc<str>,
    /// Where it was loaded from.
    pub url: String,
    /// Whether `?identity_schema=` may choose it.
    pub selfservice_selectable: bool,
}

/// Every schema of a server, in the order of the configuration. Never empty: the default exists.
#[derive(Clone, Debug)]
pub struct Schemas {
    entries: Vec<SchemaEntry>,
    default: usize,
}

impl Schemas {
    /// Loads and compiles all of them.
    ///
    /// # Errors
    /// Everything that is wrong, each with the id of its schema.
    pub fn load<'a>(
        default_id: &str,
        sources: impl IntoIterator<Item = SchemaSource<'a>>,
    ) -> Result<Self, Vec<(String, SchemaError)>> {
        let mut entries: Vec<SchemaEntry> = Vec::new();
        let mut errors = Vec::new();
        for source in sources {
            let loaded = load_document(source.url).and_then(|document| {
                let schema = IdentitySchema::compile(source.id, &document)?;
                Ok(SchemaEntry {
                    schema,
                    document: document.into(),
                    url: source.url.to_owned(),
                    selfservice_selectable: source.selfservice_selectable,
                })
            });
            match loaded {
                Ok(entry) if entries.iter().any(|known| known.schema.id() == source.id) => {
                    let error = SchemaError::Catalog("another schema has the same id".to_owned());
                    errors.push((entry.schema.id().to_owned(), error));
                }
                Ok(entry) => entries.push(entry),
                Err(error) => errors.push((source.id.to_owned(), error)),
            }
        }
        let default = entries.iter().position(|entry| entry.schema.id() == default_id);
        match default {
            Some(default) if errors.is_empty() => Ok(Self { entries, default }),
            Some(_) => Err(errors),
            None => {
                if errors.iter().all(|(id, _)| id != default_id) {
                    errors.push((default_id.to_owned(), SchemaError::Catalog("the default schema is not listed".to_owned())));
                }
                Err(errors)
            }
        }
    }

    /// The schema of new identities.
    pub fn default_schema(&self) -> &SchemaEntry {
        &self.entries[self.default]
    }

    /// The schema of this id.
    pub fn get(&self, id: &str) -> Option<&SchemaEntry> {
        self.entries.iter().find(|entry| entry.schema.id() == id)
    }

    /// The schema under `/schemas/{id}`: its id as it is, or in base64url.
    pub fn find(&self, wire_id: &str) -> Option<&SchemaEntry> {
        self.get(wire_id).or_else(|| {
            let decoded = URL_SAFE_NO_PAD.decode(wire_id).or_else(|_| URL_SAFE.decode(wire_id)).ok()?;
            self.get(std::str::from_utf8(&decoded).ok()?)
        })
    }

    /// All of them, in the order of the configuration.
    pub fn entries(&self) -> &[SchemaEntry] {
        &self.entries
    }
}

/// Reads the document behind a schema URL: `file://` with an absolute or relative path, or `base64://` with the document
/// itself. Blocks on the file system; called at start and reload.
///
/// # Errors
/// [`SchemaError`] when the scheme is another one, the document is too large or cannot be read.
pub fn load_document(url: &str) -> Result<String, SchemaError> {
    let unreadable = |reason: String| SchemaError::Unreadable { reason };
    let bytes = match url.split_once("://") {
        Some(("base64", text)) => {
            if text.len() > MAX_DOCUMENT * 2 {
                return Err(SchemaError::TooLarge);
            }
            let text = text.trim();
            let decoders = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
            let decoded = decoders.into_iter().find_map(|decoder| decoder.decode(text).ok());
            decoded.ok_or_else(|| unreadable("the text behind base64:// is not base64".to_owned()))?
        }
        Some(("file", path)) => {
            let absolute = url::Url::parse(url).ok().filter(|_| path.starts_with('/')).and_then(|url| url.to_file_path().ok());
            let path = absolute.unwrap_or_else(|| path.into());
            let file = std::fs::File::open(&path).map_err(|error| unreadable(format!("{}: {error}", path.display())))?;
            let mut bytes = Vec::new();
            let limit = u64::try_from(MAX_DOCUMENT).unwrap_or(u64::MAX).saturating_add(1);
            file.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(format!("{}: {error}", path.display())))?;
            bytes
        }
        Some((scheme, _)) => return Err(SchemaError::Scheme { scheme: scheme.to_owned() }),
        None => return Err(unreadable("the URL has no scheme; use file:// or base64://".to_owned())),
    };
    if bytes.len() > MAX_DOCUMENT {
        return Err(SchemaError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| unreadable("the document is not UTF-8".to_owned()))
}
