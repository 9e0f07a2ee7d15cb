//! What a container is seen to do, and who would suffer with it.

use std::collections::HashMap;

use bollard::query_parameters::{ListContainersOptions, TopOptions};

use super::engine::{Engine, failed};
use crate::chaos::procfs::Process;
use crate::chaos::runtime::RuntimeError;
use crate::chaos::safety::{Seen, java_program};
use crate::chaos::sockets;
use crate::platform::text::excerpt;

/// Name of a process whose name does not say what it runs.
const JAVA: &str = "java";

/// What a container does; none where its engine cannot list its processes. Where they listen is seen on
/// this machine alone, by root.
pub async fn doings(engine: &Engine, id: &str) -> Option<Seen> {
    let (pids, mut processes): (Vec<u32>, Vec<String>) =
        listed(engine, id, "comm").await?.into_iter().unzip();
    if processes.iter().any(|name| name == JAVA) {
        let lines = listed(engine, id, "args").await?;
        processes
            .extend(lines.iter().filter_map(|(_, line)| java_program(line)).map(str::to_owned));
    }
    let here = pids.into_iter().filter_map(Process::now);
    let here: Vec<Process> = here.filter(|process| process.belongs_to(id)).collect();
    Some(Seen { processes, listening: sockets::listening(&here) })
}

/// The processes of a container with a column of what `ps` says of them.
async fn listed(engine: &Engine, id: &str, column: &str) -> Option<Vec<(u32, String)>> {
    let options = TopOptions { ps_args: format!("-eo pid,{column}") };
    let rows = engine.docker.top_processes(id, Some(options)).await.ok()?.processes?;
    let process = |row: &Vec<String>| {
        let (pid, said) = (row.first()?, row.get(1)?);
        Some((pid.trim().parse().unwrap_or_default(), said.trim().to_owned()))
    };
    Some(rows.iter().filter_map(process).collect())
}

/// Names of the containers that use the network namespace of another one, by the id of that.
///
/// # Errors
/// When the engine does not answer.
pub async fn lodgers(engine: &Engine) -> Result<HashMap<String, Vec<String>>, RuntimeError> {
    let options = ListContainersOptions::default();
    let mut lodgers: HashMap<String, Vec<String>> = HashMap::new();
    for container in engine.docker.list_containers(Some(options)).await.map_err(failed)? {
        let mode = container.host_config.and_then(|host| host.network_mode);
        let name = container.names.into_iter().flatten().next();
        if let Some((mode, name)) = mode.zip(name)
            && let Some(of) = mode.strip_prefix("container:")
        {
            let name = excerpt(name.trim_start_matches('/'));
            lodgers.entry(of.to_owned()).or_default().push(name);
        }
    }
    Ok(lodgers)
}
