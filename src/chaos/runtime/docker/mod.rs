//! Containers of Docker engines, on this machine or elsewhere. Faults go in from the host's side, so
//! that images need nothing in them: directly where this user is root on the engine's machine, by
//! helper containers everywhere else.

mod acts;
mod address;
mod claim;
mod container;
mod effects;
mod engine;
mod happenings;
mod image;
pub(in crate::chaos) mod inspected;
mod seen;
mod tunnel;
mod undoing;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::ListContainersOptions;
use serde_json::Value;
use tokio::time::Instant;

pub use self::address::Address;
use self::address::{Surroundings, resolve};
use self::engine::{Engine, failed};
use self::happenings::{Happenings, What};
use self::inspected::{instance, name_of, no_restart, stranding, unsuitable};
pub use self::undoing::{Then, end_helpers, give_back, helpers_left, kept};
use super::{
    Baseline, Effect, Fault, Injection, Instance, Prepared, Runtime, RuntimeError, Target,
};
use crate::chaos::procfs::Process;
use crate::chaos::safety;
use crate::chaos::undo::Undo;
use crate::config::{Chaos, Helpers, ServiceKind};
use crate::platform::text::excerpt;
use crate::run::event::MomentKind;

/// Events may carry a moment that is this much before ours, for all that clocks are compared.
const CLOCK_SLACK: Duration = Duration::from_millis(50);

/// The Docker runtime.
pub struct DockerRuntime {
    places: Vec<Place>,
    chaos: Chaos,
}

/// An engine and what it says.
struct Place {
    engine: Engine,
    happenings: Happenings,
}

impl DockerRuntime {
    /// Connects to the engines that are configured, or to that of the Docker client.
    ///
    /// # Errors
    /// When one of them cannot be reached.
    pub async fn connect(chaos: &Chaos) -> Result<Self, RuntimeError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let addresses = resolve(&chaos.docker, &Surroundings { variable: &variable })?;
        let mut places = Vec::new();
        for address in &addresses {
            let engine = Engine::connect(address).await?;
            let happenings = Happenings::of(engine.docker.clone(), engine.ahead);
            places.push(Place { engine, happenings });
        }
        Ok(Self { places, chaos: chaos.clone() })
    }

    fn place(&self, target: &Target) -> Result<&Place, RuntimeError> {
        let place = self.places.iter().find(|place| place.engine.address.url == target.place);
        place.ok_or_else(|| RuntimeError::new(format!("no engine at {}", target.place)))
    }

    fn engine(&self, target: &Target) -> Result<&Engine, RuntimeError> {
        self.place(target).map(|place| &place.engine)
    }

    async fn inspect(&self, target: &Target) -> Result<Value, RuntimeError> {
        let inspected = self.engine(target)?.inspect(&target.id).await?;
        inspected.ok_or_else(|| RuntimeError::new(format!("{} was removed", target.name)))
    }

    /// The main process of a target, if it is to be dealt with directly: by root of its machine.
    fn process_here(&self, target: &Target) -> Option<Process> {
        let allowed = self.chaos.docker.helpers != Helpers::Containers
            && rustix::process::geteuid().is_root();
        let process = target.instance.pid.and_then(Process::now).filter(|_| allowed);
        process.filter(|process| process.belongs_to(&target.id))
    }

    /// The services that a container serves.
    fn services_of(&self, inspected: &Value) -> impl Iterator<Item = ServiceKind> {
        let name = name_of(inspected);
        ServiceKind::ALL.into_iter().filter(move |service| {
            let container = self.chaos.serves.get(service).map_or(service.name(), String::as_str);
            name == container || safety::is_service(inspected, container)
        })
    }

    /// Without a word on which containers are meant, those of everybody else on the engine would be.
    fn expect_a_description(&self) -> Result<(), RuntimeError> {
        match self.chaos.docker.wanted().is_empty() {
            false => Ok(()),
            true => Err(RuntimeError::new(
                "chaos.docker says not which containers may be broken: expected `project`, `labels` or \
                 `names`; without them every container of the engine would be a target",
            )),
        }
    }

    /// A service whose container was named has to have one: its cuts would be left out in silence.
    fn expect_who_serves(
        &self,
        targets: &[Target],
        served: &BTreeSet<ServiceKind>,
    ) -> Result<(), RuntimeError> {
        match self.chaos.serves.iter().find(|(service, _)| !served.contains(service)) {
            None => Ok(()),
            Some((service, wanted)) => {
                let found: Vec<&str> = targets.iter().map(|t| t.name.as_str()).take(12).collect();
                Err(RuntimeError::new(format!(
                    "chaos.serves.{service}: no container and no compose service is called \
                     `{wanted}`: found {}",
                    found.join(", ")
                )))
            }
        }
    }

    /// Ids of the containers of an engine that are meant.
    async fn listed(&self, engine: &Engine) -> Result<Vec<String>, RuntimeError> {
        let wanted = &self.chaos.docker;
        let mut labels: Vec<String> =
            wanted.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.extend(wanted.project.iter().map(|p| format!("com.docker.compose.project={p}")));
        let mut filters: HashMap<String, Vec<String>> = HashMap::new();
        if !labels.is_empty() {
            filters.insert("label".into(), labels);
        }
        let options =
            ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let listed = engine.docker.list_containers(Some(options)).await.map_err(failed)?;
        let meant = listed.into_iter().filter(|container| {
            let names = container.names.iter().flatten().map(|name| name.trim_start_matches('/'));
            let mut names = names.filter(|name| wanted.names.iter().any(|of| of == name));
            wanted.names.is_empty() || names.next().is_some()
        });
        Ok(meant.filter_map(|container| container.id).collect())
    }

    /// A container as a target; none if it was removed meanwhile, or is a helper of ours.
    /// Adds the services that it serves to those that are served.
    async fn target(
        &self,
        engine: &Engine,
        id: &str,
        lodgers: &[String],
        served: &mut BTreeSet<ServiceKind>,
    ) -> Result<Option<Target>, RuntimeError> {
        let Some(inspected) = engine.inspect(id).await? else { return Ok(None) };
        if inspected.pointer("/Config/Labels/shakedown.role").is_some() {
            return Ok(None);
        }
        let services: Vec<ServiceKind> = self.services_of(&inspected).collect();
        served.extend(&services);
        let instance = instance(&inspected, engine.now());
        let seen = seen::doings(engine, id).await;
        let unknown = (instance.pid.is_some() && seen.is_none())
            .then(|| "its processes cannot be listed: it may be a store".to_owned());
        let seen = seen.unwrap_or_default();
        let protected = safety::protected(&inspected, &seen, &self.chaos.critical);
        Ok(Some(Target {
            id: id.to_owned(),
            name: excerpt(&name_of(&inspected)),
            place: engine.address.url.clone(),
            // One that serves several is known by the first.
            service: services.into_iter().next(),
            unkillable: no_restart(&inspected).or_else(|| stranding(lodgers)),
            protected: protected.is_some(),
            excluded: protected.or(unknown).or_else(|| unsuitable(&inspected, &instance)),
            instance,
        }))
    }
}

/// Where two engines have containers of one name, each is called by its engine too.
fn tell_apart(targets: &mut [Target]) {
    let mut seen = BTreeSet::new();
    let names = targets.iter().map(|target| target.name.clone());
    let twice: BTreeSet<String> = names.filter(|name| !seen.insert(name.clone())).collect();
    for target in targets.iter_mut().filter(|target| twice.contains(&target.name)) {
        target.name = excerpt(&format!("{}@{}", target.name, target.place));
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn claims(&self, run_id: &str) -> Vec<Undo> {
        let addresses = self.places.iter().map(|place| place.engine.address.clone());
        let claim = |address| Undo::GiveBack { address, run_id: run_id.to_owned() };
        addresses.map(claim).collect()
    }

    async fn claim(&self, run_id: &str, length: Duration) -> Result<(), RuntimeError> {
        let mut all = Ok(());
        for place in &self.places {
            // One engine that is away does not let the leases on the others run out.
            all = all.and(claim::take(&place.engine, run_id, length).await);
        }
        all
    }

    async fn targets(&self) -> Result<Vec<Target>, RuntimeError> {
        self.expect_a_description()?;
        let (mut targets, mut served) = (Vec::new(), BTreeSet::new());
        for Place { engine, .. } in &self.places {
            let lodgers = seen::lodgers(engine).await?;
            for id in self.listed(engine).await? {
                let lodgers = lodgers.get(&id).map_or(&[][..], Vec::as_slice);
                targets.extend(self.target(engine, &id, lodgers, &mut served).await?);
            }
        }
        if targets.is_empty() {
            let wanted = self.chaos.docker.wanted();
            return Err(RuntimeError::new(format!("no container was found with {wanted}")));
        }
        tell_apart(&mut targets);
        self.expect_who_serves(&targets, &served)?;
        Ok(targets)
    }

    async fn look(&self, target: &Target) -> Result<Instance, RuntimeError> {
        let engine = self.engine(target)?;
        Ok(match engine.inspect(&target.id).await? {
            Some(inspected) => instance(&inspected, engine.now()),
            None => Instance { gone: true, ..Instance::default() },
        })
    }

    fn moments(&self, target: &Target, since: Instant) -> Vec<(MomentKind, Instant)> {
        let Ok(place) = self.place(target) else { return Vec::new() };
        let since = since.checked_sub(CLOCK_SLACK).unwrap_or(since);
        let happened = place.happenings.since(&target.id, since).into_iter();
        let moments = happened.filter_map(|one| match one.what {
            What::Moment(kind) => Some((kind, one.at)),
            What::OutOfMemory => None,
        });
        moments.collect()
    }

    async fn prepare(
        &self,
        target: &Target,
        fault: &Fault,
        token: &str,
    ) -> Result<Prepared, RuntimeError> {
        self.prepared(target, fault, token).await
    }

    async fn inject(
        &self,
        target: &Target,
        fault: &Fault,
        undo: &Undo,
    ) -> Result<Injection, RuntimeError> {
        self.injected(target, fault, undo).await
    }

    async fn settled(
        &self,
        target: &Target,
        fault: &Fault,
        baseline: &Baseline,
    ) -> Option<(bool, String)> {
        match (fault, baseline.counters.first()) {
            (Fault::Memory { .. }, Some(before)) => Some(self.freed(target, *before).await),
            _ => None,
        }
    }

    async fn effect(
        &self,
        target: &Target,
        fault: &Fault,
        _undo: &Undo,
        injection: &Injection,
    ) -> Effect {
        self.measured(target, fault, injection).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chaos::runtime::told::serving;

    #[test]
    fn two_containers_of_one_name_are_told_apart_by_their_engine() {
        let target = |name: &str, place: &str| Target {
            id: format!("{place}{name}"),
            name: name.into(),
            place: place.into(),
            service: None,
            excluded: None,
            unkillable: None,
            protected: false,
            instance: Instance::default(),
        };
        let mut targets = [target("chat", "a"), target("rag", "a"), target("chat", "b")];
        tell_apart(&mut targets);
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, ["chat@a", "rag", "chat@b"]);
    }

    #[tokio::test]
    async fn without_a_word_on_which_containers_are_meant_none_is() {
        let runtime = DockerRuntime { places: Vec::new(), chaos: Chaos::default() };
        let RuntimeError(words) = runtime.targets().await.expect_err("nothing is described");
        assert!(words.contains("`project`, `labels` or `names`"), "{words}");
        let mut chaos = Chaos::default();
        chaos.docker.project = Some("shop".into());
        chaos.docker.labels = [("tier".to_owned(), "app".to_owned())].into();
        chaos.docker.names = vec!["chat".into(), "rag".into()];
        let runtime = DockerRuntime { places: Vec::new(), chaos };
        let RuntimeError(words) = runtime.targets().await.expect_err("there is no engine");
        let wanted = "no container was found with project shop, label tier=app, name chat or rag";
        assert_eq!(words, wanted);
    }

    /// A service may share its container with others, or have the name of a compose service; one that
    /// was given a name that nothing has is an error with what there is.
    #[test]
    fn every_service_that_was_given_a_container_has_to_have_one() {
        let runtime = |serves: &[(ServiceKind, &str)]| {
            let serves = serves.iter().map(|(service, name)| (*service, (*name).to_owned()));
            let chaos = Chaos { serves: serves.collect(), ..Chaos::default() };
            DockerRuntime { places: Vec::new(), chaos }
        };
        let ai = json!({ "Name": "/ai", "Config": { "Labels": {} } });
        let tools = json!({ "Name": "/p-tools-1", "Config": { "Labels":
            { "com.docker.compose.service": "tools" } } });
        let expected = |runtime: &DockerRuntime| {
            let served =
                [&ai, &tools].into_iter().flat_map(|one| runtime.services_of(one)).collect();
            let names = ["ai", "p-tools-1"];
            let targets =
                names.map(|name| Target { name: name.into(), ..serving(ServiceKind::Chat) });
            (runtime.expect_who_serves(&targets, &served), served)
        };
        use ServiceKind::{Chat, Mcp, Rag};
        let (found, served) = expected(&runtime(&[(Chat, "ai"), (Rag, "ai"), (Mcp, "tools")]));
        assert_eq!(served, [Chat, Rag, Mcp].into(), "one container serves two of them");
        found.expect("each has one");
        let (found, served) = expected(&runtime(&[(Chat, "ai"), (Mcp, "tool")]));
        assert_eq!(served, [Chat].into());
        let RuntimeError(words) = found.expect_err("nothing is called so");
        assert!(words.starts_with("chaos.serves.mcp: ") && words.contains("`tool`"), "{words}");
        assert!(words.ends_with("found ai, p-tools-1"), "{words}");
        // Nothing is asked of a service that was given no name.
        expected(&runtime(&[])).0.expect("nothing was named");
    }
}
