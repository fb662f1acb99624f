//! Networks by name, where a specification has ids.

use crate::View;
use facts::service::Service;

/// The name of a network, or its id where no examined node lists it.
pub(crate) fn network_name(id: &str, view: &View<'_>) -> String {
    let lists = view.snapshot.hosts.iter().filter_map(|host| host.networks.get().ok());
    let found = lists.flat_map(|list| &list.value).find(|network| network.id.as_str() == id);
    found.map_or_else(|| id.to_owned(), |network| network.name.clone())
}

/// The networks of a service, by name, separated by commas.
pub(crate) fn network_names(service: &Service, view: &View<'_>) -> String {
    service.networks.iter().map(|id| network_name(id, view)).collect::<Vec<_>>().join(", ")
}
