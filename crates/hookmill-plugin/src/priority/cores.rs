//! Which cores lesser work has: half of them, so that all else finds others where it need not get ahead of any.

use std::io;
use std::sync::LazyLock;

/// Set once, by a thread that may run on all cores of the process: those that keep to fewer hand that on.
static OF_LESSER_WORK: LazyLock<Vec<usize>> = LazyLock::new(|| latter_half(of_this_thread()));

/// Returns the cores that lesser work keeps to; none where nothing is known of how cores are given away.
pub(super) fn of_lesser_work() -> &'static [usize] {
    &OF_LESSER_WORK
}

fn latter_half(mut cores: Vec<usize>) -> Vec<usize> {
    cores.split_off(cores.len() / 2)
}

#[cfg(target_os = "linux")]
pub(super) fn of_this_thread() -> Vec<usize> {
    let allowed = rustix::thread::sched_getaffinity(None).unwrap_or_default();
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_this_thread() -> Vec<usize> {
    vec![]
}

/// Keeps this thread, and what it starts, to these cores.
#[cfg(target_os = "linux")]
pub(super) fn keep_to(cores: &[usize]) -> io::Result<()> {
    let mut only = rustix::thread::CpuSet::new();
    cores.iter().for_each(|core| only.set(*core));
    Ok(rustix::thread::sched_setaffinity(None, &only)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn keep_to(_cores: &[usize]) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesser_work_has_half_of_the_cores_and_one_at_least() {
        let half = |cores: &[usize]| latter_half(cores.to_vec());
        assert_eq!(half(&[3]), [3]);
        assert_eq!(half(&[0, 1]), [1]);
        assert_eq!(half(&[0, 2, 4]), [2, 4]);
        assert_eq!(half(&[0, 1, 2, 3]), [2, 3]);
        assert_eq!(half(&[]), [0; 0]);
    }
}
