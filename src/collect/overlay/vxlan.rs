//! The VXLAN devices of the host and of every network namespace of the engine. A VNI can exist once for each UDP port, so a
//! stale device prevents the engine from creating the overlay.

use super::{enter, open, tables};
use crate::collect::why;
use facts::Why;
use facts::overlay::{EngineNamespaces, VxlanDevice};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The maximum number of namespaces that are read.
const MAX_NAMESPACES: usize = 512;

/// All namespaces and devices. This thread ends in another network namespace.
pub(super) fn read_all(namespaces: &BTreeMap<String, PathBuf>) -> Result<EngineNamespaces, Why> {
    let mut found = Vec::new();
    read(None, &mut found)?;
    for (name, path) in namespaces.iter().take(MAX_NAMESPACES) {
        // A namespace may be removed meanwhile.
        let entered = open(path).and_then(|namespace| enter(&namespace));
        match entered {
            Ok(()) => read(Some(name), &mut found)?,
            Err(why @ Why::Denied { .. }) => return Err(why),
            Err(_) => {}
        }
    }
    Ok(EngineNamespaces { names: namespaces.keys().cloned().collect(), vxlans: found })
}

fn read(namespace: Option<&String>, found: &mut Vec<VxlanDevice>) -> Result<(), Why> {
    let devices = tables::devices().map_err(|error| why(&error, "read VXLAN devices over netlink"))?;
    found.extend(devices.into_values().map(|device| VxlanDevice {
        namespace: namespace.cloned(),
        name: device.name,
        vni: device.vni,
        port: device.port,
        up: device.up,
    }));
    Ok(())
}
