//! Processes as the system sees them: their CPU time, memory and threads, and the cores that they may run on.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Milliseconds of CPU time in user mode.
    pub user_ms: u64,
    /// Milliseconds of CPU time in the system.
    pub system_ms: u64,
    /// Current threads.
    pub threads: u64,
    /// Current memory, in KiB.
    pub resident_kib: u64,
    /// Open files and sockets.
    pub files: u64,
}

impl Usage {
    /// Reads `/proc/PID/stat`, and counts the entries of `/proc/PID/fd`.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let page_kib = (rustix::param::page_size() / 1024) as u64;
        let parsed = parse(&stat, rustix::param::clock_ticks_per_second(), page_kib);
        let unread = || io::Error::new(io::ErrorKind::InvalidData, "a stat that cannot be read");
        let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        Ok(Self { files, ..parsed.ok_or_else(unread)? })
    }

    /// Total CPU time, in milliseconds.
    #[must_use]
    pub fn cpu_ms(&self) -> u64 {
        self.user_ms + self.system_ms
    }

    /// What was used since `earlier`; threads, memory and files are the current ones.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user_ms: self.user_ms.saturating_sub(earlier.user_ms),
            system_ms: self.system_ms.saturating_sub(earlier.system_ms),
            ..*self
        }
    }
}

/// Reads the fields of proc(5): 14 utime, 15 stime, 20 `num_threads`, 24 rss. The name in field 2 may hold anything.
fn parse(stat: &str, ticks_per_second: u64, page_kib: u64) -> Option<Usage> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ms = |ticks: u64| in_ms(ticks, ticks_per_second);
    Some(Usage {
        user_ms: ms(field(14)?),
        system_ms: ms(field(15)?),
        threads: field(20)?,
        resident_kib: field(24)? * page_kib,
        files: 0,
    })
}

/// Milliseconds of CPU time that all processes have used on all cores of this machine so far.
///
/// # Errors
/// When `/proc/stat` cannot be read.
pub fn machine_busy_ms() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let busy = busy_ticks(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a stat without a sum"))?;
    Ok(in_ms(busy, rustix::param::clock_ticks_per_second()))
}

/// The first line of proc(5)'s stat: user, nice, system, idle, iowait, irq, softirq, steal; idle and iowait do not
/// count as use.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8).enumerate();
    fields.filter(|(place, _)| !matches!(place, 3 | 4)).map(|(_, ticks)| ticks.parse::<u64>().ok()).sum()
}

fn in_ms(ticks: u64, ticks_per_second: u64) -> u64 {
    ticks * 1_000 / ticks_per_second.max(1)
}

/// Binds this thread to a core until the guard is dropped. What it starts meanwhile stays bound, from its first
/// instruction on: a program that asks for the number of cores gets one.
///
/// # Errors
/// When there is no such core.
pub fn pinned(core: usize) -> io::Result<Pinned> {
    let before = sched_getaffinity(None)?;
    let mut cores = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    Ok(Pinned { before })
}

/// A thread that is bound to a core.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The mask was valid before.
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// Raises this process's limit of open files, and that of its children, to the maximum: each call is a socket in each
/// process.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // With the old limit fewer calls fit; those that do not fit report it.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_name() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 1 2 20 0 3 0 999 10000 512 18446744073709551615 1";
        let usage = parse(stat, 100, 4).unwrap();
        assert_eq!(usage, Usage { user_ms: 1_500, system_ms: 500, threads: 3, resident_kib: 2_048, files: 0 });
        assert_eq!(parse("7 (a", 100, 4), None);
        assert_eq!(parse("7 (a) S 1", 100, 4), None);
    }

    #[test]
    fn what_all_cores_did_is_read_without_their_rest() {
        assert_eq!(busy_ticks("cpu  10 1 5 9000 300 0 2 4 7 7\ncpu0 1"), Some(22));
        assert_eq!(busy_ticks("cpu0 1"), None);
        assert!(machine_busy_ms().unwrap() > 0);
    }

    #[test]
    fn this_process_has_threads_memory_and_files() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.threads > 0 && usage.resident_kib > 100 && usage.files > 0, "{usage:?}");
        assert_eq!(usage.since(&usage).cpu_ms(), 0);
    }

    #[test]
    fn a_thread_is_bound_only_while_the_guard_lives() {
        let before = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).find(|&core| before.is_set(core)).unwrap();
        let guard = pinned(core).unwrap();
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(guard);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        assert!(pinned(usize::MAX).is_err());
    }
}
