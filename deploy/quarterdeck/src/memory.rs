//! What a start needs, or a burst of work, and nothing after it: pages of the program's own file, and what the allocator keeps
//! of what was freed. They are given back when the process is quiet; the file's are read again, from the system's cache, where
//! something is called once more.

use std::{fs, time::Duration};

use rustix::{
    mm::{Advice, madvise},
    time::{ClockId, clock_gettime},
};

/// Time between two looks at what the process does.
const LOOK: Duration = Duration::from_secs(5);

/// Processor time between two looks: a process that used less is quiet.
const QUIET: Duration = Duration::from_millis(100);

/// What is worth giving back, in bytes: about half of what a start or a burst of calls reads.
const WORTH: u64 = 4 * 1024 * 1024;

/// Gives pages back whenever the process is quiet and has more than after the last time.
pub fn settle_when_quiet() {
    tokio::spawn(async {
        let (mut used, mut kept) = (processor_time(), 0);
        loop {
            tokio::time::sleep(LOOK).await;
            let before = std::mem::replace(&mut used, processor_time());
            if used.saturating_sub(before) < QUIET && of_files() > kept + WORTH {
                settle();
                trim();
                kept = of_files();
            }
        }
    });
}

/// What this process has computed since it began.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Bytes of files that are in this process's memory: the third number of `/proc/self/statm` (`man 5 proc_pid_statm`). On a
/// system without it there are none.
fn of_files() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_ascii_whitespace().nth(2).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// Heaps of the allocator at the most. glibc makes up to eight for each core, and each keeps what was freed in it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS: i32 = 2;

/// Keeps to few heaps. Before any other thread is there.
pub fn few_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a number of the allocator (man 3 mallopt), and no other thread is there yet.
    #[allow(unsafe_code, reason = "the allocator is set by a function of C")]
    let _unchanged_if_0 = unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}

/// Gives the system what was freed and is kept by the allocator.
fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes the locks of the allocator itself, and frees nothing that is in use (man 3 malloc_trim).
    #[allow(unsafe_code, reason = "the allocator is told by a function of C")]
    let _nothing_if_0 = unsafe { libc::malloc_trim(0) };
}

/// Gives the pages of the program's file back: code and constants, which nobody ever writes. On a system without
/// `/proc/self/maps` it does nothing.
fn settle() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    for (start, length) in program(&maps) {
        // SAFETY: a private mapping of a file that was never written holds what the file holds; a page that is gone is read
        // from it again when it is touched.
        #[allow(
            unsafe_code,
            reason = "advice about memory has no safe form; this one changes nothing that can be seen"
        )]
        let advised = unsafe { madvise(start as *mut std::ffi::c_void, length, Advice::LinuxDontNeed) };
        if let Err(error) = advised {
            tracing::debug!(%error, "pages of the program stay in memory");
        }
    }
}

/// Start and length, in bytes, of the mappings up to the program's code: what lies behind it was relocated, and is not as
/// in the file. The form is that of `man 5 proc_pid_maps`.
fn program(maps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut file = None;
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights), Some(path)) = (words.next(), words.next(), words.nth(3)) else {
            return found;
        };
        let same = *file.get_or_insert(path) == path;
        let ends = range.split_once('-');
        let ends = ends.and_then(|(from, to)| {
            Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
        });
        let Some((from, to)) = ends.filter(|_| same && matches!(rights, "r--p" | "r-xp")) else {
            return found;
        };
        found.push((from, to.saturating_sub(from)));
        if rights == "r-xp" {
            return found;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_constants_before_it_and_nothing_that_was_written() {
        let maps = "\
00400000-00500000 r--p 00000000 fe:00 12 /usr/bin/quarterdeck
00500000-00900000 r-xp 000ff000 fe:00 12 /usr/bin/quarterdeck
00900000-00920000 r--p 004fe000 fe:00 12 /usr/bin/quarterdeck
00920000-00930000 rw-p 0051d000 fe:00 12 /usr/bin/quarterdeck
01000000-01100000 rw-p 00000000 00:00 0 [heap]
";
        assert_eq!(program(maps), [(0x40_0000, 0x10_0000), (0x50_0000, 0x40_0000)]);
        assert_eq!(program("00400000-00500000 rw-p 00000000 fe:00 12 /usr/bin/quarterdeck\n"), []);
        assert_eq!(program("nonsense\n"), []);
    }

    #[test]
    fn the_program_goes_on_without_them() {
        settle();
        let text: String = (0..100).map(|number| format!("{number:03}")).collect();
        assert_eq!(text.len(), 300);
    }
}
