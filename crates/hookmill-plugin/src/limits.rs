//! What a guest may use, each bound with its reason.

use std::time::Duration;

/// The bounds of loading and running one plugin. An embedder may lower them for each tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginLimits {
    /// Bytes of a component. The largest real ones, a Python interpreter with its library, have 18 MiB.
    pub component_bytes_max: usize,
    /// CPU time of compiling one component. The largest real ones take 16 s.
    pub compile_cpu_max: Duration,
    /// Time of compiling one component, whatever it does with it: a process that hangs uses no CPU.
    pub compile_time_max: Duration,
    /// Address space of the compiling process, and bytes of what it may write.
    pub compile_memory_max: u64,
    /// Fuel of one call, about one unit an instruction: half a second of a busy machine.
    pub fuel_max: u64,
    /// Fuel of a trial: of all runs on a component's own fixtures together. Whoever uploads next waits for it.
    pub trial_fuel_max: u64,
    /// Bytes of all linear memories of one instance together.
    pub memory_bytes_max: usize,
    /// Entries of all tables of one instance together. Function tables of real guests have some thousands.
    pub table_entries_max: usize,
    /// Bytes that a guest may hand to the host in one call of a host function, and so the most that the host
    /// allocates on a guest's word.
    pub hostcall_bytes_max: usize,
    /// Live component-model handles, and entries of the host's resource table.
    pub handles_max: usize,
    /// Bytes of the body that a plugin returns.
    pub body_bytes_max: usize,
    /// Headers that a plugin returns.
    pub headers_max: usize,
    /// Bytes of all names and values of these headers together.
    pub header_bytes_max: usize,
    /// Bytes of log of one call; what comes after is dropped and said to be.
    pub log_bytes_max: usize,
    /// Bytes of stack for guest code.
    pub stack_bytes_max: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            component_bytes_max: 32 * MIB,
            compile_cpu_max: Duration::from_secs(60),
            compile_time_max: Duration::from_secs(180),
            compile_memory_max: 2 * 1024 * MIB as u64,
            fuel_max: 500_000_000,
            trial_fuel_max: 10_000_000_000,
            memory_bytes_max: 64 * MIB,
            table_entries_max: 100_000,
            hostcall_bytes_max: 4 * MIB,
            handles_max: 1_000,
            body_bytes_max: hookmill_core::limits::BODY_BYTES_MAX,
            headers_max: 64,
            header_bytes_max: 16 * KIB,
            log_bytes_max: 64 * KIB,
            stack_bytes_max: MIB,
        }
    }
}

impl PluginLimits {
    /// Returns these bounds, each lowered to that of `host` where it is above it.
    pub fn lowered_to(self, host: &Self) -> Self {
        Self {
            component_bytes_max: self.component_bytes_max.min(host.component_bytes_max),
            compile_cpu_max: self.compile_cpu_max.min(host.compile_cpu_max),
            compile_time_max: self.compile_time_max.min(host.compile_time_max),
            compile_memory_max: self.compile_memory_max.min(host.compile_memory_max),
            fuel_max: self.fuel_max.min(host.fuel_max),
            trial_fuel_max: self.trial_fuel_max.min(host.trial_fuel_max),
            memory_bytes_max: self.memory_bytes_max.min(host.memory_bytes_max),
            table_entries_max: self.table_entries_max.min(host.table_entries_max),
            hostcall_bytes_max: self.hostcall_bytes_max.min(host.hostcall_bytes_max),
            handles_max: self.handles_max.min(host.handles_max),
            body_bytes_max: self.body_bytes_max.min(host.body_bytes_max),
            headers_max: self.headers_max.min(host.headers_max),
            header_bytes_max: self.header_bytes_max.min(host.header_bytes_max),
            log_bytes_max: self.log_bytes_max.min(host.log_bytes_max),
            // Part of the engine, of which there is one.
            stack_bytes_max: host.stack_bytes_max,
        }
    }
}
