//! Keys in the environment of containers and in the history of their images, where a Docker engine is
//! configured. Nothing is started or changed.

use super::finding;
use crate::run::event::Finding;
use crate::security::context::AuditContext;
use crate::security::keys;
use crate::security::rules::{KEY_IN_CONTAINER, KEY_IN_IMAGE};
use crate::security::trivy::docker::{Container, Docker, Running};

fn place(container: &Container) -> String {
    format!("container {}", container.name)
}

/// Keys in the environment of a container.
fn in_environment(container: &Container) -> Vec<Finding> {
    let place = place(container);
    let found = container.environment.iter().flat_map(|variable| {
        let mut found = keys::find(variable);
        if found.is_empty() {
            found.extend(keys::secret_setting(variable));
        }
        found
    });
    found.map(|key| finding(&KEY_IN_CONTAINER, &key, &place, "in its environment")).collect()
}

/// Searches them; returns what that covered, in words, and whether that was all there is.
///
/// # Errors
/// When a Docker engine is configured that does not answer.
pub async fn search(
    context: &AuditContext<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(String, bool), String> {
    let images = &context.config.security.images;
    let Some(host) = &images.docker else { return Ok((String::new(), true)) };
    let docker = Docker::connect(host).await?;
    let Running { containers, open } = docker.containers(images.project.as_deref()).await?;
    for container in &containers {
        context.prober.looked().at(&place(container));
        findings.extend(in_environment(container));
    }
    let mut searched = std::collections::BTreeSet::new();
    let (mut histories, mut silent, mut missing) = (0, 0, 0);
    let mut all: Vec<(&str, String)> =
        containers.iter().map(|one| (one.image.as_str(), one.image_id.clone())).collect();
    for name in &images.names {
        match docker.image_id(name).await {
            Ok(Some(id)) => all.push((name, id)),
            // Trivy may have it from elsewhere; here there is nothing to search.
            Ok(None) => missing += 1,
            Err(_) => silent += 1,
        }
    }
    for (image, id) in all {
        let place = format!("image {image}");
        context.prober.looked().at(&place);
        if !searched.insert(id.clone()) {
            continue;
        }
        let Ok(steps) = docker.history(&id).await else {
            silent += 1;
            continue;
        };
        histories += 1;
        for key in steps.iter().flat_map(|step| keys::find(step)) {
            findings.push(finding(&KEY_IN_IMAGE, &key, &place, "in its history"));
        }
    }
    let mut words = format!(
        ", the environment of {} containers, the history of {histories} images",
        containers.len()
    );
    if silent > 0 {
        words += &format!(" ({silent} without an answer)");
    }
    if missing > 0 {
        words += &format!(", {missing} images are not on the engine");
    }
    if let Some(open) = &open {
        words += &format!("; {open}");
    }
    Ok((words, silent == 0 && open.is_none()))
}
