//! The walls around every container that is run or started here: nothing of the host but what a person allowed. Who makes a
//! container outside these walls by other means has to start it by other means too.

use std::path::PathBuf;

use bollard::models::HostConfig;
use qd_guard::Fault;

use crate::{engine::Engine, mounts::Allowed, names::Name, state::Container};

impl Engine {
    /// What of the host may be mounted, as the engine is now.
    pub(crate) async fn allowed(&self) -> Result<Allowed, Fault> {
        let info =
            self.docker().await?.info().await.map_err(|error| self.looking("engine", "itself", &error))?;
        let mut closed = vec![self.config.socket.clone()];
        // The engine's own folder holds the file systems of all others.
        closed.push(PathBuf::from(info.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".to_owned())));
        Ok(Allowed::new(&self.config.roots, &closed))
    }

    /// A network that containers may be in.
    pub(crate) async fn network(&self, name: &str) -> Result<String, Fault> {
        if name == "none" {
            return Ok(name.to_owned());
        }
        let name = Name::parse("network", name)?;
        let found = self.docker().await?.inspect_network(name.as_str(), None).await;
        let found = found.map_err(|error| self.looking("network", name.as_str(), &error))?;
        let id = found.id.unwrap_or_default();
        if !name.names(found.name.as_deref().unwrap_or_default(), &id) {
            return Err(Fault::failed(
                format!("There is no network {name} here."),
                "List the networks, and take one of those.",
            ));
        }
        match found.driver.as_deref() {
            Some("bridge" | "null") => Ok(name.as_str().to_owned()),
            driver => Err(outside(&format!(
                "the network {name} reaches the host or its neighbours ({})",
                driver.unwrap_or("no driver")
            ))),
        }
    }

    /// Refuses a container that has more of the host than it may.
    pub(crate) async fn within_walls(&self, container: &Container) -> Result<(), Fault> {
        let Some(host) = &container.raw.host_config else {
            return Err(outside("the engine does not say what it has of the host"));
        };
        if let Some(what) = breaks(host) {
            return Err(outside(&format!("the container {} {what}", container.name)));
        }
        if let Some(network) =
            host.network_mode.as_deref().filter(|mode| !matches!(*mode, "" | "default" | "none"))
        {
            self.network(network).await?;
        }
        let allowed = self.allowed().await?;
        for mount in container.raw.mounts.iter().flatten() {
            match mount.typ.as_deref() {
                Some("bind") => allowed.still_holds(mount.source.as_deref().unwrap_or_default())?,
                Some("tmpfs") => {}
                Some("volume") => self.is_plain(mount.name.as_deref().unwrap_or_default()).await?,
                _ => {
                    return Err(outside(&format!(
                        "the container {} mounts something unknown",
                        container.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// A volume with options may be any place of the host under another name.
    async fn is_plain(&self, name: &str) -> Result<(), Fault> {
        let name = Name::parse("volume", name)?;
        let found = self.docker().await?.inspect_volume(name.as_str()).await;
        let volume = found.map_err(|error| self.looking("volume", name.as_str(), &error))?;
        if volume.driver == "local" && volume.options.is_empty() {
            return Ok(());
        }
        Err(outside(&format!("the volume {name} is no plain one, and may be a place of the host")))
    }
}

fn outside(what: &str) -> Fault {
    Fault::failed(
        format!("This is outside the walls of this server: {what}."),
        "A person has to do it themselves, or make a container without that.",
    )
}

/// What of the host it has that nothing here may have.
fn breaks(host: &HostConfig) -> Option<&'static str> {
    let any = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let shares = |mode: &Option<String>| {
        mode.as_deref()
            .is_some_and(|mode| mode == "host" || mode.starts_with("container:") || mode.starts_with("ns:"))
    };
    let devices = host.devices.as_ref().is_some_and(|devices| !devices.is_empty())
        || host.device_requests.as_ref().is_some_and(|devices| !devices.is_empty())
        || any(&host.device_cgroup_rules);
    let open = |option: &String| {
        option.contains("unconfined") || option.contains("disable") || option.contains("systempaths")
    };
    let broken = [
        (host.privileged == Some(true), "is privileged"),
        (any(&host.cap_add), "has added capabilities"),
        (devices, "has devices of the host"),
        (shares(&host.network_mode), "shares a network with the host or another container"),
        (shares(&host.pid_mode), "shares processes with the host or another container"),
        (shares(&host.ipc_mode), "shares memory with the host or another container"),
        (shares(&host.uts_mode), "shares its name with the host"),
        (shares(&host.userns_mode), "shares users with the host"),
        (any(&host.volumes_from), "takes the volumes of another container"),
        (host.security_opt.iter().flatten().any(open), "has its confinement taken off"),
    ];
    broken.iter().find(|(is, _)| *is).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use bollard::models::{DeviceMapping, HostConfig};

    use super::breaks;

    #[test]
    fn every_way_out_is_found() {
        let some = |text: &str| Some(text.to_owned());
        let list = |text: &str| Some(vec![text.to_owned()]);
        let plain = HostConfig::default;
        let odd = [
            HostConfig { privileged: Some(true), ..plain() },
            HostConfig { cap_add: list("SYS_ADMIN"), ..plain() },
            HostConfig { devices: Some(vec![DeviceMapping::default()]), ..plain() },
            HostConfig { device_cgroup_rules: list("a *:* rwm"), ..plain() },
            HostConfig { network_mode: some("host"), ..plain() },
            HostConfig { network_mode: some("container:x"), ..plain() },
            HostConfig { pid_mode: some("host"), ..plain() },
            HostConfig { ipc_mode: some("host"), ..plain() },
            HostConfig { uts_mode: some("host"), ..plain() },
            HostConfig { userns_mode: some("host"), ..plain() },
            HostConfig { volumes_from: list("x"), ..plain() },
            HostConfig { security_opt: list("seccomp=unconfined"), ..plain() },
            HostConfig { security_opt: list("label=disable"), ..plain() },
        ];
        assert_eq!(odd.iter().filter(|host| breaks(host).is_none()).count(), 0);
        assert_eq!(breaks(&plain()), None);
        assert_eq!(
            breaks(&HostConfig { ipc_mode: some("private"), network_mode: some("bridge"), ..plain() }),
            None
        );
    }
}
