//! What Linux tells about processes: processor time, memory, parents, and how busy the machine is (proc(5)).
//! The load generator samples it around a round, the runner around starts.
//! It knows only numbers of processes, not which program they are.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result, during};

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// In use now (`VmRSS`).
    pub(crate) resident: u64,
    /// The most that was ever in use (`VmHWM`).
    pub(crate) peak: u64,
}

/// One line of `/proc/<pid>/stat`, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) parent: u32,
    /// User and kernel time of all threads, in clock ticks.
    pub(crate) ticks: u64,
}

/// Turns clock ticks into time; Linux counts 100 per second almost everywhere, but asks to be asked.
#[derive(Clone, Copy)]
pub(crate) struct Ticks(u64);

impl Ticks {
    pub(crate) fn per_second() -> Self {
        let output = Command::new("getconf").arg("CLK_TCK").output().ok();
        let told = output.and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok());
        Self(told.filter(|count| *count > 0).unwrap_or(100))
    }

    pub(crate) fn time(self, ticks: u64) -> Duration {
        Duration::from_micros(ticks.saturating_mul(1_000_000) / self.0)
    }
}

/// Reads one process.
pub(crate) fn stat(pid: u32) -> Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(during(format!("reading {path}")))?;
    parse_stat(&text).ok_or_else(|| Failure::new(format!("{path} has an unknown form")))
}

/// Reads the memory of one process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(during(format!("reading {path}")))?;
    parse_memory(&text).ok_or_else(|| Failure::new(format!("{path} does not tell the memory in use")))
}

/// Clock ticks of every child of a process; processes that end meanwhile are left out.
pub(crate) fn children(parent: u32) -> BTreeMap<u32, u64> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, stat(pid).ok()?)))
        .filter(|(_, stat)| stat.parent == parent)
        .map(|(pid, stat)| (pid, stat.ticks))
        .collect()
}

/// What was added between two looks at the children of a process; one that is new counts from zero.
pub(crate) fn added(before: &BTreeMap<u32, u64>, after: &BTreeMap<u32, u64>) -> u64 {
    after.iter().map(|(pid, ticks)| ticks.saturating_sub(before.get(pid).copied().unwrap_or(0))).sum()
}

/// Clock ticks in which any core of the machine was at work, or was taken away by a hypervisor, since it started.
pub(crate) fn machine_busy() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat").map_err(during("reading /proc/stat"))?;
    parse_busy(&text).ok_or_else(|| Failure::new("/proc/stat has an unknown form"))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may itself hold blanks and parentheses.
    let (start, end) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(start + 1..end)?.to_owned();
    let fields: Vec<&str> = text.get(end + 1..)?.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and the first of these is its field 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat { name, parent: u32::try_from(field(4)?).ok()?, ticks: field(14)? + field(15)? })
}

fn parse_memory(text: &str) -> Option<Memory> {
    let kib = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(Memory { resident: kib("VmRSS")?, peak: kib("VmHWM")? })
}

fn parse_busy(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is part of user time.
    let [user, nice, system, _, _, irq, softirq, steal] = *fields.first_chunk()?;
    Some(user + nice + system + irq + softirq + steal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let rest = "S 41 42 42 0 -1 4194560 900 0 3 0 1234 66 5 6 20 0 9 0 8000 120000000 5000 18446744073709551615";
        for name in ["keyward", "a b", "x) S 9 (y", "(", ""] {
            let stat = parse_stat(&format!("77 ({name}) {rest}")).unwrap();
            assert_eq!(stat, Stat { name: name.to_owned(), parent: 41, ticks: 1300 });
        }
        for bad in ["", "77 keyward S 41", "77 (keyward) S 41 42", "77 (keyward) S x 42 42 0 -1 4 9 0 3 0 1 6"] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
    }

    #[test]
    fn memory_lines() {
        let text = "Name:\tVmRSS\nVmPeak:\t  900000 kB\nVmHWM:\t   31000 kB\nVmRSS:\t   28412 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(parse_memory(text), Some(Memory { resident: 28_412, peak: 31_000 }));
        assert_eq!(parse_memory("VmHWM:\t 1 kB\n"), None, "a zombie has no memory");
        assert_eq!(parse_memory("VmHWM:\t 1 kB\nVmRSS:\t 1 MB\n"), None);
    }

    #[test]
    fn busy_leaves_out_idle_waiting_and_guests() {
        assert_eq!(parse_busy("cpu  10 20 30 1000 500 1 2 3 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), Some(66));
        assert_eq!(parse_busy("cpu0 1 1 1 1 1 1 1 1 1 1\n"), None);
        assert_eq!(parse_busy("cpu  10 20\n"), None);
    }

    #[test]
    fn children_that_came_and_went() {
        let before = BTreeMap::from([(1, 100), (2, 50)]);
        let after = BTreeMap::from([(1, 130), (3, 7)]);
        assert_eq!(added(&before, &after), 37);
    }

    #[test]
    fn this_process() {
        let pid = std::process::id();
        let parent = stat(pid).unwrap().parent;
        assert!(children(parent).contains_key(&pid));
        let memory = memory(pid).unwrap();
        assert!(memory.resident > 500 && memory.peak >= memory.resident, "{memory:?}");
        assert!(machine_busy().unwrap() > 0);
    }
}
