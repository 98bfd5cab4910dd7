//! The ids of acceptance cases: `S-12` (settings), `L-27` (login, registration, sessions), `R-76` (admin API, operation), `AC-36` (abuse).
//! The lists and the scan of the sources parse them.
//! It does not know which numbers exist.

use std::fmt;

/// Ordered as the lists are: settings, login, operation, abuse, each by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CaseId {
    group: Group,
    number: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Settings,
    Login,
    Operation,
    Abuse,
}

impl CaseId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (group, number) = text.split_once('-')?;
        let group = match group {
            "S" => Group::Settings,
            "L" => Group::Login,
            "R" => Group::Operation,
            "AC" => Group::Abuse,
            _ => return None,
        };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { group, number: number.parse().ok().filter(|&number| digits && number > 0)? })
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.group {
            Group::Settings => format!("S-{}", self.number),
            Group::Login => format!("L-{}", self.number),
            Group::Operation => format!("R-{}", self.number),
            Group::Abuse => format!("AC-{:02}", self.number),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for (text, shown) in
            [("S-1", "S-1"), ("S-136", "S-136"), ("L-07", "L-7"), ("R-103", "R-103"), ("AC-7", "AC-07"), ("AC-118", "AC-118")]
        {
            assert_eq!(CaseId::parse(text).map(|id| id.to_string()).as_deref(), Some(shown));
        }
        for text in ["", "S", "S-", "S-0", "S-+1", "s-1", "X-1", "S-1a", "S-70000", "S--1"] {
            assert_eq!(CaseId::parse(text), None, "{text}");
        }
    }
}
