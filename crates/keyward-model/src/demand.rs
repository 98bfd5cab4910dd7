//! Who may change what: the one function behind every settings submit (decisions 2).
//! The settings story asks before a change and once more on the final edit.
//! Knows counts of factors and the rules in force, nothing of requests, sessions or methods.

use crate::{Aal, Factors, FlowOrigin};

/// What a settings submit is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Change traits that neither sign in nor receive messages.
    EditFreeTraits,
    /// Change a login identifier, verifiable address or recovery address.
    EditProtectedTraits,
    /// Set a password where there is none.
    SetFirstPassword,
    /// Replace the password.
    ChangePassword,
    /// Enrol a factor.
    AddFactor,
    /// Give a key another name.
    RenameFactor,
    /// Remove a factor.
    RemoveFactor,
    /// Show backup codes.
    RevealCodes,
    /// Replace backup codes.
    ReplaceCodes,
    /// Link a social account.
    Link,
    /// Unlink a social account.
    Unlink,
    /// Change nothing.
    Nothing,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 12] = [
        Self::EditFreeTraits,
        Self::EditProtectedTraits,
        Self::SetFirstPassword,
        Self::ChangePassword,
        Self::AddFactor,
        Self::RenameFactor,
        Self::RemoveFactor,
        Self::RevealCodes,
        Self::ReplaceCodes,
        Self::Link,
        Self::Unlink,
        Self::Nothing,
    ];

    /// The word in the table file and in audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EditFreeTraits => "edit_free_traits",
            Self::EditProtectedTraits => "edit_protected_traits",
            Self::SetFirstPassword => "set_first_password",
            Self::ChangePassword => "change_password",
            Self::AddFactor => "add_factor",
            Self::RenameFactor => "rename_factor",
            Self::RemoveFactor => "remove_factor",
            Self::RevealCodes => "reveal_codes",
            Self::ReplaceCodes => "replace_codes",
            Self::Link => "link",
            Self::Unlink => "unlink",
            Self::Nothing => "nothing",
        }
    }
}

/// `required_aal` of the settings flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredAal {
    /// Nothing beyond rule R1.
    Aal1,
    /// The highest level the identity can reach, for the whole flow.
    HighestAvailable,
    /// Per operation.
    Aal2,
}

/// The rules in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsRules {
    /// `selfservice.flows.settings.required_aal`.
    pub required_aal: RequiredAal,
    /// Rule R1 (`security.factor_changes_require_aal2`); only an explicit `false` switches it off.
    pub factor_changes_require_aal2: bool,
}

/// What a submit needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// A privileged session, or a grant.
    pub fresh: bool,
    /// The session's level.
    pub aal: Aal,
    /// The level cannot be reached: lead the person to enrol a second factor instead.
    pub enrol_instead: bool,
}

/// Decides what an operation needs.
///
/// ```
/// use keyward_model::{demand, Aal, Factors, FlowOrigin, Operation, RequiredAal, SettingsRules};
/// let rules = SettingsRules { required_aal: RequiredAal::Aal1, factor_changes_require_aal2: true };
/// let enrolled = Factors { password: 1, totp: 1, ..Factors::default() };
/// assert_eq!(demand(Operation::ChangePassword, &enrolled, FlowOrigin::Normal, &rules).aal, Aal::Aal2);
/// ```
pub fn demand(operation: Operation, factors: &Factors, origin: FlowOrigin, rules: &SettingsRules) -> Demand {
    use Operation as Op;
    let harmless = matches!(operation, Op::EditFreeTraits | Op::Nothing);
    // A name opens no door, but a false one leads to the wrong key being removed: the second factor protects it as all else.
    let fresh = !harmless && operation != Op::RenameFactor;
    let has_second = factors.second() > 0;
    let by_r1 = rules.factor_changes_require_aal2 && has_second && !harmless;
    let by_operation = rules.required_aal == RequiredAal::Aal2
        && matches!(
            operation,
            Op::EditProtectedTraits | Op::ChangePassword | Op::RemoveFactor | Op::Unlink | Op::RevealCodes | Op::ReplaceCodes
        );
    let recovering = origin == FlowOrigin::Recovery && operation == Op::ChangePassword && !has_second;
    let needs_second = by_r1 || (by_operation && !recovering);
    Demand { fresh, aal: if needs_second { Aal::Aal2 } else { Aal::Aal1 }, enrol_instead: needs_second && !has_second }
}

/// Whether a session of level `session` may open, read and submit the flow at all (contract: settings 6.3).
/// `available` is the highest level that the identity can reach.
pub fn flow_admits(session: Aal, available: Aal, required: RequiredAal) -> bool {
    match required {
        RequiredAal::Aal1 | RequiredAal::Aal2 => session >= Aal::Aal1,
        RequiredAal::HighestAvailable => session >= Aal::Aal2 || available < Aal::Aal2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CodeUse;

    fn rules(required_aal: RequiredAal) -> SettingsRules {
        SettingsRules { required_aal, factor_changes_require_aal2: true }
    }

    /// What the gate answers, as the table says it: the flow's own level first, then the operation's, then freshness.
    fn answer(
        operation: Operation,
        session: Aal,
        factors: &Factors,
        origin: FlowOrigin,
        fresh: bool,
        required: RequiredAal,
    ) -> &'static str {
        if !flow_admits(session, factors.available(CodeUse::default()), required) {
            return "aal2";
        }
        let needed = demand(operation, factors, origin, &rules(required));
        match needed {
            Demand { aal, enrol_instead: true, .. } if session < aal => "enrol",
            Demand { aal, .. } if session < aal => "aal2",
            Demand { fresh: true, .. } if !fresh => "refresh",
            _ => "done",
        }
    }

    /// The same file drives requests against a running server (`tests/it/demand.rs` of the binary).
    #[test]
    fn the_table_holds_in_every_cell() {
        let none = Factors { password: 1, ..Factors::default() };
        let second = Factors { totp: 1, ..none };
        let sessions = [(none, Aal::Aal1), (second, Aal::Aal1), (second, Aal::Aal2)];
        let mut seen = std::collections::BTreeSet::new();
        for line in include_str!("demand.table").lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<_> = line.split_whitespace().collect();
            let [name, setting, origin, answers @ ..] = &columns[..] else { panic!("bad line: {line}") };
            assert_eq!(answers.len(), 6, "{line}");
            let operation = Operation::ALL.into_iter().find(|operation| operation.as_str() == *name).expect(line);
            let required = match *setting {
                "aal1" => RequiredAal::Aal1,
                "highest_available" => RequiredAal::HighestAvailable,
                "aal2" => RequiredAal::Aal2,
                _ => panic!("bad setting: {line}"),
            };
            let from = match *origin {
                "normal" => FlowOrigin::Normal,
                "recovery" => FlowOrigin::Recovery,
                _ => panic!("bad origin: {line}"),
            };
            for (place, expected) in answers.iter().enumerate() {
                let (factors, session) = &sessions[place / 2];
                let told = answer(operation, *session, factors, from, place % 2 == 0, required);
                assert_eq!(told, *expected, "column {place} of: {line}");
            }
            seen.insert(columns[..3].join(" "));
        }
        assert_eq!(seen.len(), Operation::ALL.len() * 3 * 2, "every combination stands in the table once");
    }

    #[test]
    fn companions_do_not_trigger_rule_r1_and_the_switch_turns_it_off() {
        let companions = Factors { password: 1, companion_codes: 12, ..Factors::default() };
        let enrolled = Factors { password: 1, totp: 1, ..Factors::default() };
        let off = SettingsRules { factor_changes_require_aal2: false, ..rules(RequiredAal::Aal1) };
        let normal = FlowOrigin::Normal;
        assert_eq!(demand(Operation::RemoveFactor, &companions, normal, &rules(RequiredAal::Aal1)).aal, Aal::Aal1);
        assert_eq!(demand(Operation::RemoveFactor, &enrolled, normal, &off).aal, Aal::Aal1);
    }

    #[test]
    fn the_whole_flow_asks_for_the_highest_level_only_where_told() {
        assert!(flow_admits(Aal::Aal1, Aal::Aal1, RequiredAal::HighestAvailable));
        assert!(!flow_admits(Aal::Aal1, Aal::Aal2, RequiredAal::HighestAvailable));
        assert!(flow_admits(Aal::Aal2, Aal::Aal2, RequiredAal::HighestAvailable));
        assert!(flow_admits(Aal::Aal1, Aal::Aal2, RequiredAal::Aal1));
    }
}
