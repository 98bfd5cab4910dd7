//! The stylesheet, the script and the icon, embedded, with the hash of their content in their names.
//! The HTTP floor serves them under [`ASSET_DIRECTORY`] and may mark them immutable (RFC 8246).
//! Pages link to them by name; nothing else is served from here.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// Where pages expect the assets, below the path of the public base.
pub const ASSET_DIRECTORY: &str = "/ui/assets/";

/// An embedded file, ready to be served for ever under its name.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Value of the Content-Type header.
    pub content_type: &'static str,
    /// The file.
    pub bytes: &'static [u8],
    /// First 16 hexadecimal digits of the SHA-256 of the bytes; fits a strong ETag once quoted.
    pub hash: &'static str,
}

struct Named {
    name: String,
    hash: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

impl Named {
    fn new(stem: &str, extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        let hash = keyward_model::hex(&Sha256::digest(bytes)[..8]);
        Self { name: format!("{stem}.{hash}.{extension}"), hash, content_type, bytes }
    }
}

static STYLESHEET: LazyLock<Named> =
    LazyLock::new(|| Named::new("keyward", "css", "text/css; charset=utf-8", include_bytes!("../assets/keyward.css")));
static SCRIPT: LazyLock<Named> =
    LazyLock::new(|| Named::new("keyward", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/keyward.js")));

static ICON: LazyLock<Named> =
    LazyLock::new(|| Named::new("keyward", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg")));

/// Finds an asset by its file name, for example `keyward.0123456789abcdef.css`; leading directories are not accepted.
pub fn asset(name: &str) -> Option<Asset> {
    [&*STYLESHEET, &*SCRIPT, &*ICON].into_iter().find(|known| known.name == name).map(|known| Asset {
        content_type: known.content_type,
        bytes: known.bytes,
        hash: &known.hash,
    })
}

/// File name of the stylesheet of this build.
pub fn stylesheet_name() -> &'static str {
    &STYLESHEET.name
}

/// File name of the script of this build.
pub fn script_name() -> &'static str {
    &SCRIPT.name
}

/// File name of the icon of this build.
pub(crate) fn icon_name() -> &'static str {
    &ICON.name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_hashed_name_only_and_stay_small() {
        let sheet = asset(stylesheet_name()).expect("stylesheet");
        let script = asset(script_name()).expect("script");
        assert!(stylesheet_name().contains(sheet.hash) && script_name().contains(script.hash));
        assert!(sheet.bytes.len() <= 19_000, "stylesheet: {} bytes", sheet.bytes.len());
        assert!(script.bytes.len() <= 6_500, "script: {} bytes", script.bytes.len());
        for other in ["keyward.css", "keyward.js", "", "../keyward.css", "keyward.0000000000000000.css"] {
            assert!(asset(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_script_writes_text_only() {
        let script = String::from_utf8_lossy(SCRIPT.bytes).into_owned();
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"] {
            assert!(!script.contains(sink), "{sink}");
        }
    }
}
