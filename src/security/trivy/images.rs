//! The images that are scanned: configured and running ones, each once however many names it has.

use super::docker::Docker;
use crate::config::Images;

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its names.
    pub names: Vec<String>,
    /// What Trivy is given.
    pub reference: String,
    /// Its id, where it is known.
    pub id: Option<String>,
}

impl Image {
    /// Its names.
    pub fn words(&self) -> String {
        self.names.join(", ")
    }
}

/// The images, and what may run others but was not looked at, in words.
///
/// # Errors
/// When a Docker engine is configured that does not answer.
pub async fn images(wanted: &Images) -> Result<(Vec<Image>, Option<String>), String> {
    let mut known: Vec<(String, Option<String>)> = Vec::new();
    let docker = match &wanted.docker {
        Some(host) => Some(Docker::connect(host).await?),
        None => None,
    };
    for name in &wanted.names {
        let id = match &docker {
            // Trivy tells it otherwise.
            Some(docker) => docker.image_id(name).await.unwrap_or_default(),
            None => None,
        };
        known.push((name.clone(), id));
    }
    let mut open = None;
    if let Some(docker) = &docker {
        let running = docker.containers(wanted.project.as_deref()).await?;
        known.extend(running.containers.into_iter().map(|one| (one.image, Some(one.image_id))));
        open = running.open;
    }
    Ok((once(known), open))
}

/// Each image once: by its id, or by its name where that is not known.
fn once(known: Vec<(String, Option<String>)>) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for (name, id) in known {
        let same = images.iter_mut().find(|image| match (&image.id, &id) {
            (Some(one), Some(other)) => one == other,
            _ => image.names.contains(&name),
        });
        match same {
            Some(image) if image.names.contains(&name) => {}
            Some(image) => image.names.push(name),
            None => images.push(Image { names: vec![name.clone()], reference: name, id }),
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_several_names_is_scanned_once() {
        let known = |name: &str, id: Option<&str>| (name.to_owned(), id.map(str::to_owned));
        let images = once(vec![
            known("app:1", Some("sha256:a")),
            known("app:latest", Some("sha256:a")),
            known("app:1", Some("sha256:a")),
            known("other", None),
            known("other", None),
        ]);
        let words: Vec<String> = images.iter().map(Image::words).collect();
        assert_eq!(words, ["app:1, app:latest", "other"]);
    }
}
