//! Helpers in containers: capability-minimal, capped, labelled, and gone with their lease.

use std::collections::HashMap;

use bollard::container::LogOutput;
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
};
use bollard::query_parameters::{
    AttachContainerOptions, CreateContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, BufReader, DuplexStream, duplex};

use super::engine::{Engine, failed};
use super::image::{self, LIBRARIES, PROGRAM};
use crate::chaos::helper::{Task, Work};
use crate::chaos::lease::{Ending, Lease, command_line};
use crate::chaos::runtime::RuntimeError;
use crate::platform::docker::is_absent;

/// Whatever a helper does, it needs no more memory than this besides.
const OWN_BYTES: i64 = 64 << 20;
const MAX_PROCESSES: i64 = 256;
const PIPE_BYTES: usize = 16 * 1024;
/// Label with the token of the fault that a helper holds.
const TOKEN: &str = "shakedown.token";

/// Starts a helper in a container of its own and waits until its fault is there.
///
/// # Errors
/// When the engine refuses, or the fault cannot be set up.
pub async fn launch(
    engine: &Engine,
    name: &str,
    token: &str,
    task: &Task,
) -> Result<Lease, RuntimeError> {
    let image = image::ensure(engine).await?;
    let options = CreateContainerOptions { name: Some(name.into()), ..Default::default() };
    let body = body(image, token, task)?;
    engine.docker.create_container(Some(options), body).await.map_err(failed)?;
    match run(engine, name).await {
        Ok(lease) => Ok(lease),
        Err(error) => {
            // One that has never run does not remove itself.
            remove(engine, name).await?;
            Err(error)
        }
    }
}

async fn run(engine: &Engine, name: &str) -> Result<Lease, RuntimeError> {
    let options = AttachContainerOptions {
        stdin: true,
        stdout: true,
        stderr: false,
        stream: true,
        ..AttachContainerOptions::default()
    };
    let attached = engine.docker.attach_container(name, Some(options)).await.map_err(failed)?;
    // Asked for before the start: whoever is quick is gone before the question otherwise.
    let options = WaitContainerOptions { condition: "removed".into() };
    let mut removed = Box::pin(engine.docker.wait_container(name, Some(options)));
    let ending: Ending = Box::pin(async move {
        match removed.next().await {
            Some(Err(error)) if !is_absent(&error) => Err(failed(error)),
            _ => Ok(()),
        }
    });
    let (to, output) = duplex(PIPE_BYTES);
    let starting = engine.docker.start_container(name, None::<StartContainerOptions>);
    starting.await.map_err(failed)?;
    tokio::spawn(pass_on(attached.output, to));
    Lease::over(attached.input, BufReader::new(output), ending).await
}

async fn pass_on(
    mut output: impl futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    mut to: DuplexStream,
) {
    while let Some(Ok(part)) = output.next().await {
        if to.write_all(&part.into_bytes()).await.is_err() {
            return;
        }
    }
}

fn body(image: String, token: &str, task: &Task) -> Result<ContainerCreateBody, RuntimeError> {
    let labels = [
        (TOKEN, token.to_owned()),
        ("shakedown.role", "helper".into()),
        ("shakedown.lasts_ms", task.length_ms.to_string()),
    ];
    Ok(ContainerCreateBody {
        image: Some(image),
        entrypoint: Some(vec![PROGRAM.into()]),
        cmd: Some(command_line(token, task)?),
        env: Some(vec![format!("LD_LIBRARY_PATH={LIBRARIES}")]),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
        user: Some("0:0".into()),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        // Standard input is the lease: it ends with the connection of whoever holds it.
        open_stdin: Some(true),
        stdin_once: Some(true),
        stop_signal: Some("SIGKILL".into()),
        host_config: Some(host_config(task)),
        ..ContainerCreateBody::default()
    })
}

/// No more than the work needs: the numbers of the machine's processes, one capability, and the
/// control groups or the target's network.
fn host_config(task: &Task) -> HostConfig {
    let mut config = HostConfig {
        auto_remove: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges".into()]),
        readonly_rootfs: Some(true),
        pid_mode: Some("host".into()),
        userns_mode: Some("host".into()),
        network_mode: Some("none".into()),
        pids_limit: Some(MAX_PROCESSES),
        memory: Some(OWN_BYTES),
        memory_swap: Some(OWN_BYTES),
        log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
        ..HostConfig::default()
    };
    let unconfined = |config: &mut HostConfig| {
        let options = config.security_opt.get_or_insert_default();
        options.extend(["apparmor=unconfined".into(), "label=disable".into()]);
    };
    match &task.work {
        // It acts through the engine, from where its owner is: no container is made for it.
        Work::Revive { .. } => {}
        Work::Kill {} => {
            config.cap_add = Some(vec!["KILL".into()]);
            unconfined(&mut config);
        }
        Work::Burn { .. } | Work::Fill { .. } => {
            config.cgroupns_mode = Some(HostConfigCgroupnsModeEnum::HOST);
            config.binds = Some(vec!["/sys/fs/cgroup:/sys/fs/cgroup:rw".into()]);
            if let Work::Fill { bytes, .. } = task.work {
                let most = OWN_BYTES.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
                (config.memory, config.memory_swap) = (Some(most), Some(most));
            }
            unconfined(&mut config);
        }
        Work::Cut { .. } | Work::Uncut { .. } => {
            config.cap_add = Some(vec!["NET_ADMIN".into()]);
            config.network_mode =
                task.target.container.as_ref().map(|container| format!("container:{container}"));
        }
    }
    config
}

/// Removes a helper, whatever it is doing. One that is gone needs nothing.
///
/// # Errors
/// When it is there and cannot be removed.
pub async fn remove(engine: &Engine, name: &str) -> Result<(), RuntimeError> {
    let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
    match engine.docker.remove_container(name, Some(options)).await {
        Ok(()) => Ok(()),
        // It is about to remove itself, or has.
        Err(bollard::errors::Error::DockerResponseServerError {
            status_code: 404 | 409, ..
        }) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Names of the helpers that hold this fault.
///
/// # Errors
/// When the engine does not answer.
pub async fn helpers(engine: &Engine, token: &str) -> Result<Vec<String>, RuntimeError> {
    let filters: HashMap<String, Vec<String>> =
        [("label".to_owned(), vec![format!("{TOKEN}={token}")])].into();
    let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let listed = engine.docker.list_containers(Some(options)).await.map_err(failed)?;
    let names = listed.into_iter().filter_map(|container| container.names?.into_iter().next());
    Ok(names.map(|name| name.trim_start_matches('/').to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::helper::TargetProcess;

    #[test]
    fn a_helper_may_do_no_more_than_its_work_needs() {
        let task = |work| Task {
            target: TargetProcess { pid: 7, start_ticks: None, container: Some("abc".into()) },
            length_ms: 1000,
            work,
            pin: None,
            group: None,
        };
        let kill = host_config(&task(Work::Kill {}));
        assert_eq!(kill.cap_add, Some(vec!["KILL".into()]));
        assert_eq!(kill.network_mode.as_deref(), Some("none"));
        let fill = host_config(&task(Work::Fill { bytes: 1 << 20, in_its_group: true }));
        assert_eq!((&fill.cap_add, fill.memory), (&None, Some(OWN_BYTES + (1 << 20))));
        let uncut = host_config(&task(Work::Uncut { table: "t".into() }));
        assert_eq!(uncut.network_mode.as_deref(), Some("container:abc"));
        assert_eq!(uncut.cap_add, Some(vec!["NET_ADMIN".into()]));
        assert_eq!(uncut.binds, None);
        for config in [kill, fill, uncut] {
            assert_eq!(config.cap_drop, Some(vec!["ALL".into()]));
            assert_eq!((config.privileged, config.auto_remove), (None, Some(true)));
        }
    }
}
