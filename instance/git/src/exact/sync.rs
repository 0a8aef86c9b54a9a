//! Makes a folder equal to a plan, on several threads. One piece of work is one folder: threads then hardly
//! meet in the file system, which locks by folder.

use std::{
    collections::HashSet,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use gix_object::Kind;

use super::{
    Unfit,
    fit::{Objects, Reader},
    index::{Known, Record, Stat},
    place::{self, About},
    plan::{Folder, Plan},
};

/// Fewer files than this are not worth a thread.
const FILES_PER_THREAD: usize = 200;
const MOST_THREADS: usize = 8;

/// Gives what the file system says of each file of the plan, all of them as the commit has them.
pub(super) fn sync(
    objects: &Objects,
    plan: &Plan,
    record: Option<&Record>,
    folder: &Path,
    keep: &[PathBuf],
) -> Result<Vec<Stat>, Unfit> {
    let (text, used) = (folder.as_os_str().as_bytes(), record.is_some());
    let root =
        place::open(rustix::fs::CWD, text).map_err(|error| Unfit::io("opening", text)(error.into()))?;
    let like = if used { Some(About::of_new(&root)?) } else { None };
    if let Some(like) = &like {
        like.settle(&root, b".")?;
    }
    let work = Work {
        objects,
        plan,
        known: record.map(|record| record.of(plan)).unwrap_or_default(),
        like,
        keep: keep.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect(),
        queue: Mutex::new(Queue { jobs: Vec::new(), busy: 0, failed: None }),
        wake: Condvar::new(),
    };
    work.queue().jobs.push(Job { folder: 0, open: Arc::new(root), new: false });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (plan.files.len() / FILES_PER_THREAD).clamp(1, cores.min(MOST_THREADS));
    let mut stats = vec![Stat::default(); plan.files.len()];
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| work.run())).collect();
        for thread in running {
            let Ok(done) = thread.join() else {
                return Err(Unfit::new("a thread that checked files out ended early"));
            };
            for (number, stat) in done {
                if let Some(place) = stats.get_mut(number as usize) {
                    *place = stat;
                }
            }
        }
        Ok(())
    })?;
    match work.queue.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
        Some(error) => Err(error),
        None => Ok(stats),
    }
}

struct Work<'a> {
    objects: &'a Objects,
    plan: &'a Plan,
    known: Vec<Option<Known>>,
    /// How folders are that were there before; none if those are not trusted.
    like: Option<About>,
    keep: Vec<Vec<u8>>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// Last in, first out: goes deep before it goes wide, so few folders are open at once.
struct Queue {
    jobs: Vec<Job>,
    busy: usize,
    failed: Option<Unfit>,
}

/// A folder whose parent is open.
struct Job {
    folder: u32,
    /// The parent; of the root itself, the root.
    open: Arc<OwnedFd>,
    /// Whether the parent was just made.
    new: bool,
}

/// A thread's means.
struct Hands {
    reader: Reader,
    buffer: Vec<u8>,
    done: Vec<(u32, Stat)>,
}

/// Counts a job as ended, also when its thread panics: the others would wait for ever.
struct Busy<'a, 'b>(&'a Work<'b>);

impl Drop for Busy<'_, '_> {
    fn drop(&mut self) {
        self.0.queue().busy -= 1;
        self.0.wake.notify_all();
    }
}

impl Work<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if queue.failed.is_some() {
                return None;
            }
            if let Some(job) = queue.jobs.pop() {
                queue.busy += 1;
                return Some(job);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self) -> Vec<(u32, Stat)> {
        let mut hands = Hands { reader: self.objects.reader(), buffer: Vec::new(), done: Vec::new() };
        while let Some(job) = self.next() {
            let _busy = Busy(self);
            if let Err(error) = self.folder(&job, &mut hands) {
                self.queue().failed.get_or_insert(error);
            }
        }
        hands.done
    }

    fn folder(&self, job: &Job, hands: &mut Hands) -> Result<(), Unfit> {
        let Some(folder) = self.plan.folders.get(job.folder as usize) else { return Ok(()) };
        let (open, new) = if job.folder == 0 {
            (Arc::clone(&job.open), false)
        } else {
            let parent = job.open.as_fd();
            let (open, new) = if job.new {
                (place::make(parent, &folder.name)?, true)
            } else {
                place::open_or_make(parent, &folder.name, self.like.as_ref())?
            };
            (Arc::new(open), new)
        };
        if !folder.folders.is_empty() {
            let jobs = folder.folders.iter().rev();
            self.queue().jobs.extend(jobs.map(|&folder| Job { folder, open: Arc::clone(&open), new }));
            self.wake.notify_all();
        }
        if !new {
            self.tidy(folder, &open)?;
        }
        for &number in &folder.files {
            let stat = self.file(number as usize, open.as_fd(), new, hands)?;
            hands.done.push((number, stat));
        }
        Ok(())
    }

    fn file(
        &self,
        number: usize,
        folder: BorrowedFd<'_>,
        new: bool,
        hands: &mut Hands,
    ) -> Result<Stat, Unfit> {
        let lost = || Unfit::new("the plan does not have the file");
        let file = self.plan.files.get(number).ok_or_else(lost)?;
        if !new && let Some((stat, mode)) = place::look(folder, file.name())? {
            let good = Known { stat, mode, id: file.id };
            if mode == file.form.mode() && self.known.get(number) == Some(&Some(good)) {
                return Ok(stat);
            }
            place::wipe(folder, file.name())?;
        }
        let data = hands.reader.read(&file.id, Kind::Blob, &mut hands.buffer)?;
        place::write(folder, file, data)
    }

    /// Removes what the plan does not have and what may not stay.
    fn tidy(&self, folder: &Folder, open: &OwnedFd) -> Result<(), Unfit> {
        let files =
            folder.files.iter().filter_map(|&number| Some(self.plan.files.get(number as usize)?.name()));
        let inner =
            folder.folders.iter().filter_map(|&number| Some(&*self.plan.folders.get(number as usize)?.name));
        let planned: HashSet<&[u8]> = files.chain(inner).collect();
        for name in place::names(open, &folder.path)? {
            let is_git = folder.path.is_empty() && name == b".git";
            if !is_git && !planned.contains(name.as_slice()) && !self.stays(folder, &name) {
                place::wipe(open.as_fd(), &name)?;
            }
        }
        Ok(())
    }

    /// Whether it is one of the paths that may stay. One within a folder that the commit does not have is not
    /// looked for.
    fn stays(&self, folder: &Folder, name: &[u8]) -> bool {
        let mut path = folder.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        self.keep.contains(&path)
    }
}
