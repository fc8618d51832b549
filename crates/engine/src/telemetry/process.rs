//! What the process takes of the machine, from `/proc`; nothing where there is none.

use super::gauge;

/// Says what the metrics are.
pub(super) fn describe() {
    metrics::describe_gauge!("hoody_tasks_alive", "Tasks of the runtime that have not ended");
    metrics::describe_gauge!("process_open_fds", "Open file descriptors");
    metrics::describe_gauge!("process_max_fds", "File descriptors that may be open");
    metrics::describe_gauge!("process_resident_memory_bytes", metrics::Unit::Bytes, "Memory in RAM");
    metrics::describe_gauge!("process_threads", "Threads");
}

/// Measures.
pub(super) fn measure() {
    gauge("hoody_tasks_alive", tokio::runtime::Handle::current().metrics().num_alive_tasks());
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is this directory.
        gauge("process_open_fds", open.count().saturating_sub(1));
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        gauge("process_max_fds", usize::try_from(most).unwrap_or(usize::MAX));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kibibytes) = field(&status, "VmRSS:") {
        metrics::gauge!("process_resident_memory_bytes").set(f64::from(kibibytes) * 1024.0);
    }
    if let Some(threads) = field(&status, "Threads:") {
        metrics::gauge!("process_threads").set(f64::from(threads));
    }
}

fn field(status: &str, name: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_status_is_a_number() {
        let status = "Name:\thoody\nVmRSS:\t   37120 kB\nThreads:\t9\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "Threads:")), (Some(37_120), Some(9)));
        assert_eq!((field(status, "VmHWM:"), field(status, "Name:")), (None, None));
    }
}
