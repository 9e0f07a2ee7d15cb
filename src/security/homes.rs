//! Services with the same address and credentials: one gateway may stand before several, and what is
//! asked of it is asked once.

use crate::config::ServiceKind;

/// Each service that can be asked, with the first one that is reached in the same way.
#[derive(Clone, Debug, Default)]
pub struct Homes(Vec<(ServiceKind, ServiceKind)>);

impl Homes {
    /// The service that stands for one; itself where nobody else does.
    pub fn of(&self, service: ServiceKind) -> ServiceKind {
        let known = self.0.iter().find(|(one, _)| *one == service);
        known.map_or(service, |(_, home)| *home)
    }

    /// The services that stand for all.
    pub fn all(&self) -> impl Iterator<Item = ServiceKind> + '_ {
        self.0.iter().filter(|(service, home)| service == home).map(|(service, _)| *service)
    }
}

impl FromIterator<(ServiceKind, ServiceKind)> for Homes {
    fn from_iter<T: IntoIterator<Item = (ServiceKind, ServiceKind)>>(homes: T) -> Self {
        Self(homes.into_iter().collect())
    }
}
