//! The templates of the session tokenizer: `session.whoami.tokenizer.templates`.
//! The loader reads them; the services load the documents that they name and make tokens by them.
//! Reads no document: only addresses, and where they were written.

use keyward_model::{Secret, Span};

use crate::document::{Node, Shape};
use crate::report::{Place, Report};
use crate::resolve::{DOCUMENT_URL, Reader, is_document_url};

const TEMPLATES: &str = "session.whoami.tokenizer.templates";

/// How one kind of token is made of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerTemplate {
    /// What `tokenize_as` calls it.
    pub name: String,
    /// How long a token is valid.
    pub ttl: Span,
    /// The key set (RFC 7517) with the private key that signs.
    pub jwks: Document,
    /// The Jsonnet that adds claims; without one there are only the standard ones.
    pub claims_mapper: Option<Document>,
    /// What the claim `sub` holds.
    pub subject_source: SubjectSource,
}

/// A document that a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The dotted key.
    pub key: String,
    /// Where the key was written.
    pub at: Place,
    /// `file://`, `base64://`, `http://` or `https://`; with `base64://` this is the document itself.
    pub url: Secret<String>,
}

/// What the claim `sub` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectSource {
    /// The identity's id.
    Id,
    /// The identity's `external_id`.
    ExternalId,
}

/// Reads every template; what is malformed was refused by the checker and counts as absent here.
pub(crate) fn resolve(reader: Reader<'_>, report: &mut Report) -> Vec<TokenizerTemplate> {
    let entries = reader.node(TEMPLATES).map(Node::entries).unwrap_or_default();
    let written = entries.iter().filter(|(_, node)| !matches!(node.value, Shape::Null));
    written.filter_map(|(name, node)| template(name, node, report)).collect()
}

fn template(name: &str, node: &Node, report: &mut Report) -> Option<TokenizerTemplate> {
    let claims_mapper = document(name, "claims_mapper_url", node, report);
    if node.get("jwks_url").is_none_or(|url| matches!(url.value, Shape::Null)) {
        report.refuse(&node.at, format!("{TEMPLATES}.{name}.jwks_url"), "is required: the key set with the key that signs");
    }
    let ttl = node.get("ttl").and_then(Node::as_text).and_then(Span::parse).unwrap_or(Span::minutes(1));
    if ttl.as_seconds() < 1 {
        let at = node.get("ttl").map_or(&node.at, |ttl| &ttl.at);
        report.refuse(at, format!("{TEMPLATES}.{name}.ttl"), "expected at least one second");
    }
    Some(TokenizerTemplate {
        name: name.to_owned(),
        ttl,
        jwks: document(name, "jwks_url", node, report)?,
        claims_mapper,
        subject_source: match node.get("subject_source").and_then(Node::as_text) {
            Some("external_id") => SubjectSource::ExternalId,
            _ => SubjectSource::Id,
        },
    })
}

fn document(template: &str, last: &str, node: &Node, report: &mut Report) -> Option<Document> {
    let key = format!("{TEMPLATES}.{template}.{last}");
    let node = node.get(last)?;
    let url = node.as_text()?;
    if !is_document_url(url) {
        report.refuse(&node.at, key.as_str(), DOCUMENT_URL);
    }
    Some(Document { key, at: node.at.clone(), url: Secret::new(url.to_owned()) })
}
