//! User agents in two words: which browser, on which system.
//! The device page uses it for every session.
//! It guesses from the header alone (RFC 9110 section 10.1.5) and never decides anything by it.

use keyward_model::Lang;

use crate::{safe, texts};

/// Browser tokens, the more specific first: most of them also contain the words of the later ones.
const BROWSERS: [(&str, &str); 14] = [
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// System tokens, the more specific first: Android also says Linux, iPads may also say Macintosh.
const SYSTEMS: [(&str, &str, bool); 8] = [
    ("iPhone", "iPhone", true),
    ("iPad", "iPad", true),
    ("Android", "Android", true),
    ("CrOS", "ChromeOS", false),
    ("Windows", "Windows", false),
    ("Macintosh", "macOS", false),
    ("Linux", "Linux", false),
    ("FreeBSD", "FreeBSD", false),
];

/// A device as a row of the list shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) name: String,
    /// Icon of the sprite.
    pub(crate) icon: &'static str,
}

/// Short words for a user agent, for example `Firefox on Windows`, as plain text that is not yet escaped, and their icon.
pub(crate) fn classify(lang: Lang, user_agent: &str) -> Device {
    let browser = BROWSERS.iter().find(|(token, _)| user_agent.contains(token)).map(|&(_, name)| name);
    let system = SYSTEMS.iter().find(|(token, _, _)| user_agent.contains(token));
    let icon = match (browser, system) {
        (_, Some((_, _, true))) => "mobile",
        (Some(_), _) => "laptop",
        _ => "app",
    };
    let name = match (browser, system) {
        (Some(browser), Some((_, system, _))) => texts::fill(lang, "device_on", &[("browser", browser), ("system", system)]),
        (Some(browser), None) => browser.to_owned(),
        // A program of its own kind ("curl/8.5"): its product name in quotes, because the sender chose it.
        (None, system) => {
            let product = user_agent.split(['/', ' ']).next().unwrap_or_default();
            match (product, system) {
                ("", _) => texts::fill(lang, "device_unknown", &[]),
                ("Mozilla", Some((_, system, _))) => (*system).to_owned(),
                _ => format!("“{}”", safe::cut(product)),
            }
        }
    };
    Device { name, icon }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_agents_get_short_words() {
        let cases = [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox on Windows", "laptop"),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                "Chrome on Linux",
                "laptop",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0",
                "Edge on Windows",
                "laptop",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
                "mobile",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
                "mobile",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15",
                "Safari on macOS",
                "laptop",
            ),
            ("Mozilla/5.0 (Linux; Android 14)", "Android", "mobile"),
            ("curl/8.5.0", "“curl”", "app"),
            ("<script>alert(1)</script>", "“<script>alert(1)<”", "app"),
            ("", "Unknown device", "app"),
        ];
        for (agent, name, icon) in cases {
            assert_eq!(classify(Lang::En, agent), Device { name: name.to_owned(), icon }, "{agent}");
        }
        assert_eq!(
            classify(Lang::De, "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0").name,
            "Firefox unter Linux"
        );
    }
}
