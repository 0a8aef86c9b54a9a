#![doc = include_str!("../README.md")]

/// Dies here if `QUARTERDECK_FAILPOINT` names this place and the feature `armed` is on.
#[inline]
pub fn reached(name: &str) {
    #[cfg(feature = "armed")]
    if std::env::var("QUARTERDECK_FAILPOINT").is_ok_and(|wanted| wanted == name) {
        // A process can always send itself a signal; should it not, going on is what a test will notice.
        let _sent = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
    #[cfg(not(feature = "armed"))]
    let _ = name;
}
