//! Keys in the environment of containers and in the history of their images, where a Docker engine is
//! configured. Nothing is started or changed.

use super::finding;
use crate::run::event::Finding;
use crate::security::context::AuditContext;
use crate::security::keys;
use crate::security::rules::{KEY_IN_CONTAINER, KEY_IN_IMAGE};
use crate::security::trivy::docker::{Container, Docker};

/// Searches them; returns what that covered, in words.
pub async fn search(context: &AuditContext<'_>, findings: &mut Vec<Finding>) -> String {
    let images = &context.config.security.images;
    let Some(host) = &images.docker else { return String::new() };
    let found = async {
        let docker = Docker::connect(host).await?;
        docker.containers(images.project.as_deref()).await.map(|containers| (docker, containers))
    };
    let (docker, containers) = match found.await {
        Ok(both) => both,
        Err(why) => return format!("; containers not searched: {why}"),
    };
    let mut searched = std::collections::BTreeSet::new();
    for Container { name, image, image_id, environment } in &containers {
        for variable in environment {
            let found = keys::find(variable);
            findings.extend(found.iter().map(|key| {
                finding(&KEY_IN_CONTAINER, key, &format!("container {name}"), "in its environment")
            }));
        }
        if searched.insert(image_id.clone()) {
            for step in docker.history(image_id).await.unwrap_or_default() {
                let found = keys::find(&step);
                findings.extend(found.iter().map(|key| {
                    finding(&KEY_IN_IMAGE, key, &format!("image {image}"), "in its history")
                }));
            }
        }
    }
    format!(
        ", the environment of {} containers, the history of {} images",
        containers.len(),
        searched.len()
    )
}
