#![doc = include_str!("../README.md")]

/// Dies here if `QUARTERDECK_FAILPOINT` names this place and the feature `armed` is on. Where `QUARTERDECK_FAILPOINT_FROM` names a
/// file, only from when on that is there.
#[inline]
pub fn reached(name: &str) {
    #[cfg(feature = "armed")]
    if std::env::var("QUARTERDECK_FAILPOINT").is_ok_and(|wanted| wanted == name)
        && std::env::var_os("QUARTERDECK_FAILPOINT_FROM")
            .is_none_or(|file| std::path::Path::new(&file).exists())
    {
        // A process can always send itself a signal; should it not, going on is what a test will notice.
        let _sent = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
    #[cfg(not(feature = "armed"))]
    let _ = name;
}

/// Whether what happens here is to fail, once in the life of the process: `QUARTERDECK_FAILPOINT=fail:name`.
#[inline]
pub fn fails(name: &str) -> bool {
    once("fail:", name)
}

/// Whether what was done here is to be done again, once in the life of the process:
/// `QUARTERDECK_FAILPOINT=repeat:name`.
#[inline]
pub fn repeats(name: &str) -> bool {
    once("repeat:", name)
}

fn once(kind: &str, name: &str) -> bool {
    #[cfg(feature = "armed")]
    {
        static FIRED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        let wanted = std::env::var("QUARTERDECK_FAILPOINT").unwrap_or_default();
        wanted.strip_prefix(kind) == Some(name) && !FIRED.swap(true, std::sync::atomic::Ordering::SeqCst)
    }
    #[cfg(not(feature = "armed"))]
    {
        let _ = (kind, name);
        false
    }
}
