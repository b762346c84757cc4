//! A disk that is watched and can fail: runs the workload under a shim and reads what it noted.
//!
//! Knows calls and bytes; what the workload means by them is its own business.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hookmill_testing::disk_shim;
use tempfile::TempDir;

use crate::workload::{self, Note, Plan};

/// One change of the disk, or an acknowledgement between two.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create {
        name: String,
    },
    Write {
        name: String,
        at: usize,
        data: Vec<u8>,
    },
    Truncate {
        name: String,
        len: usize,
    },
    Unlink {
        name: String,
    },
    Rename {
        name: String,
        to: String,
    },
    /// The name of the directory itself is empty.
    SyncBegins {
        name: String,
        id: u64,
    },
    SyncEnds {
        id: u64,
        good: bool,
    },
    Struck,
    Noted(Note),
}

/// A directory in memory where there is one: what is asked here is the order of calls, not the speed of a disk.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// A data directory on the watched disk.
pub(crate) struct Disk {
    home: TempDir,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let home = scratch();
        fs::create_dir(home.path().join("data")).unwrap();
        Self { home }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().canonicalize().unwrap().join("data")
    }

    /// Runs the workload in a process of its own; `fault` is for the shim.
    pub(crate) fn run(&self, plan: &Plan, fault: Option<&str>) -> Output {
        let home = self.home.path().canonicalize().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", workload::CHILD_TEST, "--nocapture"]);
        child.env(workload::CHILD, serde_json::to_string(plan).unwrap());
        child.env("LD_PRELOAD", disk_shim()).env("DISK_DIR", home.join("data"));
        child.env("DISK_ACKS", home.join("acks")).env("DISK_LOG", home.join("log"));
        if let Some(fault) = fault {
            child.env("DISK_FAULT", fault);
        }
        child.output().unwrap()
    }

    /// Runs the workload, which must come to its end.
    pub(crate) fn run_to_the_end(&self, plan: &Plan, fault: Option<&str>) {
        let output = self.run(plan, fault);
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success() && text.contains("1 passed"), "with {fault:?}: {text}");
    }

    /// What was noted so far.
    pub(crate) fn ops(&self) -> Vec<Op> {
        let log = fs::read(self.home.path().join("log")).unwrap();
        let mut rest = log.as_slice();
        let mut ops = vec![];
        while !rest.is_empty() {
            ops.push(read(&mut rest));
        }
        ops
    }
}

/// What was acknowledged, in order.
pub(crate) fn notes(ops: &[Op]) -> impl Iterator<Item = &Note> {
    ops.iter().filter_map(|op| if let Op::Noted(note) = op { Some(note) } else { None })
}

fn read(log: &mut &[u8]) -> Op {
    let mut take = |len: usize| {
        let mut bytes = vec![0; len];
        log.read_exact(&mut bytes).expect("the log ends with a whole record");
        bytes
    };
    let head = take(2);
    let name = String::from_utf8(take(head[1].into())).unwrap();
    let number = u64::from_le_bytes(take(8).try_into().unwrap());
    let len = u32::from_le_bytes(take(4).try_into().unwrap());
    let data = take(usize::try_from(len).unwrap());
    let place = usize::try_from(number);
    match head[0] {
        b'C' => Op::Create { name },
        b'W' => Op::Write { name, at: place.unwrap(), data },
        b'T' => Op::Truncate { name, len: place.unwrap() },
        b'U' => Op::Unlink { name },
        b'R' => Op::Rename { name, to: String::from_utf8(data).unwrap() },
        b'S' => Op::SyncBegins { name, id: number },
        b's' => Op::SyncEnds { id: number, good: true },
        b'x' => Op::SyncEnds { id: number, good: false },
        b'E' => Op::Struck,
        b'A' => Op::Noted(serde_json::from_slice(&data).unwrap()),
        other => panic!("{other} is no record"),
    }
}
