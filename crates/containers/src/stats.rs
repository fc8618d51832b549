//! A container's use of its server (`contract/containers.md`, 6).

use std::sync::Arc;

use axum::extract::State;
use tokio::time::Instant;

use hoody_core::container::Status;
use hoody_core::id::{ContainerId, noun};
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::web::{Answer, Caller, IdPath};

use crate::access::find_visible;
use crate::http::ContainersRead;
use crate::runtime::{EngineError, Numbers};
use crate::state::{Containers, engine_down};

/// A container's use of its server
#[utoipa::path(get, path = "/api/v1/containers/{id}/stats", operation_id = "get_container_stats",
    tag = "containers", params(("id" = ContainerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::ContainerStats>),
    (status = 404, body = wire::ErrorBody), (status = 503, body = wire::ErrorBody)))]
pub async fn get_container_stats(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersRead>,
    IdPath(id): IdPath<noun::Container>,
) -> Result<Answer<wire::ContainerStats>, Error> {
    let began = Instant::now();
    let (container, _) = find_visible(&state.db, &caller, id).await?;
    let runtime = state.runtime().await?;
    let numbers = match container.status {
        Status::Running => match runtime.numbers(&container.engine_name()).await {
            Err(EngineError::Down(_) | EngineError::Slow) => return Err(engine_down()),
            // It has ended since the row was written.
            numbers => numbers.unwrap_or_default(),
        },
        _ => Numbers::default(),
    };
    let bounds = &state.settings.bounds;
    let total = if numbers.memory_limit == 0 { bounds.memory } else { numbers.memory_limit };
    let data = wire::ContainerStats {
        id,
        project_id: container.project,
        project_name: container.project_alias,
        server_name: container.server,
        status: container.status.to_string(),
        processes: numbers.pids,
        cpu: wire::CpuStats { usage: numbers.cpu, allocated_time: bounds.nano_cpus },
        memory: wire::MemoryStats {
            usage: numbers.memory,
            total,
            usage_percent: percent(numbers.memory, total),
        },
        processing_time: began.elapsed().as_secs_f64() * 1_000.0,
    };
    Ok(Answer::ok("Container statistics retrieved successfully", data))
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn percent(part: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { (part as f64 * 10_000.0 / total as f64).round() / 100.0 }
}
