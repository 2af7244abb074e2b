"""From what the engine tells of a container to a ``docker_container``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stead.api.provider import is_known
from stead_docker import container_blocks as blocks
from stead_docker.container_config import MIB, PERIOD, networks
from stead_docker.durations import text_of
from stead_docker.labels import blocks_of

if TYPE_CHECKING:
    from stead_docker.container import Container

Found = dict[str, Any]
BUILT_IN = frozenset({"bridge", "host", "none"})


def is_running(found: Found) -> bool:
    return bool(found["State"]["Running"] or found["State"]["Restarting"])


def assign(container: Container, found: Found) -> None:
    """Fill in everything computed that is still unknown, after a create or an update."""
    container.id = found["Id"]
    observe(container, found)
    for name, value in _chosen(found).items():
        if not is_known(getattr(container, name)):
            setattr(container, name, value)
    for port, outside in zip(container.ports, _outside_ports(container, found), strict=True):
        if not is_known(port.external) or port.external in (None, 0):
            port.external = outside


def observe(container: Container, found: Found) -> None:
    """What is only ever told by the engine."""
    container.network_data = _network_data(found)
    container.bridge = found["NetworkSettings"].get("Bridge") or ""
    container.exit_code = None if is_running(found) else found["State"]["ExitCode"]
    if not is_known(container.container_logs):
        container.container_logs = None


def refresh(container: Container, found: Found) -> None:
    """Bring the state up to what can have changed behind Terraform's back. All else is fixed at create."""
    container.name = found["Name"].lstrip("/")
    observe(container, found)
    if container.start and container.must_run and not container.attach and not is_running(found):
        container.start = False  # so that the next plan starts it again
    _refresh_limits(container, found["HostConfig"])
    joined = set(found["NetworkSettings"]["Networks"])
    known = {data["NetworkID"] for data in found["NetworkSettings"]["Networks"].values()} | joined
    lost = [network for network in networks(container) if network.name not in known]
    if lost:
        container.networks_advanced = [item for item in container.networks_advanced if item not in lost]


def _refresh_limits(container: Container, host: Found) -> None:
    container.restart = host["RestartPolicy"]["Name"] or "no"
    if container.max_retry_count is not None or host["RestartPolicy"]["MaximumRetryCount"]:
        container.max_retry_count = host["RestartPolicy"]["MaximumRetryCount"]
    container.memory = _kept(container.memory, host["Memory"] // MIB)
    container.cpu_shares = _kept(container.cpu_shares, host["CpuShares"])
    container.cpu_set = _kept(container.cpu_set, host["CpusetCpus"])
    actual = host["CpuQuota"] / (host["CpuPeriod"] or PERIOD) if container.cpu_quota is None else 0
    if actual != float(container.cpus or 0):
        container.cpus = f"{actual:g}" if actual else None


def _kept(configured: Any, actual: Any) -> Any:
    """The actual value; nothing where nothing was configured and the engine has no limit either."""
    return configured if not actual and not configured else actual


def _chosen(found: Found) -> Found:
    """What the engine or the image chose where the template did not."""
    config, host = found["Config"], found["HostConfig"]
    return {
        "command": config["Cmd"] or [],
        "entrypoint": config["Entrypoint"] or [],
        "env": set(config["Env"] or ()),
        "hostname": config["Hostname"],
        "init": bool(host.get("Init")),
        "stop_signal": config.get("StopSignal") or "",
        "stop_timeout": config.get("StopTimeout") or 0,
        "shm_size": host["ShmSize"] // MIB,
        "log_driver": host["LogConfig"]["Type"],
        "security_opts": set(host["SecurityOpt"] or ()),
        "runtime": host["Runtime"],
        "ipc_mode": host["IpcMode"],
        "cgroupns_mode": host.get("CgroupnsMode") or "",
        "cgroup_parent": host.get("CgroupParent") or "",
    }


def _network_data(found: Found) -> list[blocks.NetworkData]:
    return [
        blocks.NetworkData(
            network_name=name,
            ip_address=data["IPAddress"],
            ip_prefix_length=data["IPPrefixLen"],
            gateway=data["Gateway"],
            mac_address=data["MacAddress"],
            ipv6_gateway=data["IPv6Gateway"],
            global_ipv6_address=data["GlobalIPv6Address"],
            global_ipv6_prefix_length=data["GlobalIPv6PrefixLen"],
        )
        for name, data in sorted(found["NetworkSettings"]["Networks"].items())
    ]


def _outside_ports(container: Container, found: Found) -> list[int | None]:
    """The port outside of each block, as the engine chose it; ``None`` while the container is stopped."""
    published = {name: list(items or ()) for name, items in (found["NetworkSettings"]["Ports"] or {}).items()}
    outside: list[int | None] = []
    for port in container.ports:
        items = published.get(f"{port.internal}/{port.protocol}", [])
        match = next((item for item in items if item["HostIp"] == port.ip), items[0] if items else None)
        if match is not None:
            items.remove(match)
        outside.append(int(match["HostPort"]) if match else None)
    return outside


def fill(container: Container, found: Found, image: Found) -> None:
    """Everything that can be told of a container that Terraform did not make."""
    config, host = found["Config"], found["HostConfig"]
    defaults = (image.get("Config") or {}) if image else {}
    container.id, container.name, container.image = found["Id"], found["Name"].lstrip("/"), config["Image"]
    observe(container, found)
    container.container_logs = None
    for name, value in _chosen(found).items():
        setattr(container, name, value)
    container.env = set(config["Env"] or ()) - set(defaults.get("Env") or ())
    container.user = _unless(config["User"], defaults.get("User"))
    container.working_dir = _unless(config["WorkingDir"], defaults.get("WorkingDir"))
    container.domainname = config["Domainname"] or None
    container.tty, container.stdin_open = config["Tty"], config["OpenStdin"]
    container.rm, container.read_only = host["AutoRemove"], host["ReadonlyRootfs"]
    container.start = container.must_run = is_running(found)
    _fill_networks(container, found)
    _fill_defaults(container)
    _refresh_limits(container, host)
    _fill_optional(container, host)
    _fill_blocks(container, found, set(defaults.get("Labels") or ()))
    if config.get("Healthcheck") != defaults.get("Healthcheck"):
        container.healthcheck = _healthcheck(config["Healthcheck"])


def _fill_networks(container: Container, found: Found) -> None:
    """Networks of one's own are what ``networks_advanced`` names; the rest is ``network_mode``."""
    mode = found["HostConfig"]["NetworkMode"]
    joined = found["NetworkSettings"]["Networks"]
    container.network_mode = "bridge" if mode == "default" or mode in set(joined) - BUILT_IN else mode
    automatic = {found["Id"][:12], found["Config"]["Hostname"]}  # aliases that the engine adds
    if container.network_mode == "bridge":
        own = {name: data for name, data in joined.items() if name not in BUILT_IN}
        container.networks_advanced = [_attachment(name, own[name], automatic) for name in sorted(own)]


def _attachment(name: str, data: Found, automatic: set[str]) -> blocks.NetworkAttachment:
    given = data.get("IPAMConfig") or {}
    return blocks.NetworkAttachment(
        name=name,
        aliases=set(data.get("Aliases") or ()) - automatic or None,
        ipv4_address=given.get("IPv4Address") or None,
        ipv6_address=given.get("IPv6Address") or None,
    )


def _unless(value: str, default: str | None) -> str | None:
    return None if value in ("", default) else value


def _fill_defaults(container: Container) -> None:
    container.attach = container.logs = container.wait = False
    container.remove_volumes, container.wait_timeout = True, 60
    container.container_read_refresh_timeout_milliseconds = 15000


def _fill_optional(container: Container, host: Found) -> None:
    container.privileged = host["Privileged"] or None
    container.publish_all_ports = host["PublishAllPorts"] or None
    container.dns, container.dns_opts = set(host["Dns"] or ()) or None, set(host["DnsOptions"] or ()) or None
    container.dns_search = set(host["DnsSearch"] or ()) or None
    container.group_add = set(host["GroupAdd"] or ()) or None
    container.log_opts = host["LogConfig"]["Config"] or None
    container.pid_mode, container.userns_mode = host["PidMode"] or None, host["UsernsMode"] or None
    container.sysctls, container.tmpfs = host.get("Sysctls"), host.get("Tmpfs")
    container.storage_opts = host.get("StorageOpt")
    container.gpus = "all" if any(item["Count"] == -1 for item in host.get("DeviceRequests") or ()) else None


def _fill_blocks(container: Container, found: Found, inherited: set[str]) -> None:
    host = found["HostConfig"]
    own = {name: value for name, value in (found["Config"]["Labels"] or {}).items() if name not in inherited}
    container.labels = blocks_of(own)
    container.host = [
        blocks.Host(host=entry.partition(":")[0], ip=entry.partition(":")[2]) for entry in host["ExtraHosts"] or ()
    ]
    container.ulimit = [
        blocks.Ulimit(name=item["Name"], soft=item["Soft"], hard=item["Hard"]) for item in host["Ulimits"] or ()
    ]
    container.devices = [
        blocks.Device(
            host_path=item["PathOnHost"],
            container_path=item["PathInContainer"],
            permissions=item["CgroupPermissions"],
        )
        for item in host["Devices"] or ()
    ]
    if host["CapAdd"] or host["CapDrop"]:
        container.capabilities = [
            blocks.Capabilities(add=set(host["CapAdd"] or ()) or None, drop=set(host["CapDrop"] or ()) or None)
        ]
    container.volumes = [_bind(text) for text in host["Binds"] or ()]
    container.ports = _ports(host)


def _bind(text: str) -> blocks.VolumeUse:
    source, _, rest = text.partition(":")
    target, _, options = rest.partition(":")
    place = {"host_path": source} if source.startswith("/") else {"volume_name": source}
    return blocks.VolumeUse(container_path=target, read_only="ro" in options.split(",") or None, **place)


def _ports(host: Found) -> list[blocks.Port]:
    ports = []
    for name, bindings in sorted((host["PortBindings"] or {}).items()):
        internal, _, protocol = name.partition("/")
        for binding in bindings or ():
            outside = int(binding["HostPort"]) if binding["HostPort"] else None
            address = binding["HostIp"] or "0.0.0.0"  # noqa: S104 - what the engine means by an empty one
            ports.append(blocks.Port(internal=int(internal), external=outside, ip=address, protocol=protocol or "tcp"))
    return ports


def _healthcheck(found: Found | None) -> list[blocks.Healthcheck]:
    if not found or not found.get("Test"):
        return []
    return [
        blocks.Healthcheck(
            test=found["Test"],
            retries=found.get("Retries") or 0,
            interval=text_of(found.get("Interval") or 0),
            timeout=text_of(found.get("Timeout") or 0),
            start_period=text_of(found.get("StartPeriod") or 0),
            start_interval=text_of(found.get("StartInterval") or 0),
        )
    ]
