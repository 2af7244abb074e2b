"""From a ``docker_container`` to what the engine's API takes (``POST /containers/create``, API 1.41)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stead.api.provider import is_known
from stead_docker.durations import nanoseconds
from stead_docker.labels import merged

if TYPE_CHECKING:
    from stead_docker.container import Container
    from stead_docker.container_blocks import Mount, NetworkAttachment

MIB = 1 << 20
PERIOD = 100_000  # microseconds; what the engine itself uses for --cpus
AUTOMATIC_MODES = ("", "default", "bridge")


def given(value: Any) -> Any:
    """The value, or ``None`` where it is for the engine to choose."""
    return value if is_known(value) else None


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _listed(values: Iterable[str] | None) -> list[str] | None:
    return None if given(values) is None else sorted(values or ())


def _mib(count: int | None) -> int | None:
    return None if given(count) is None else (count or 0) * MIB


def swap(container: Container) -> int | None:
    """Memory and swap in bytes; -1 is without limit."""
    return -1 if container.memory_swap == -1 else _mib(container.memory_swap)


def quota(cpus: str | None) -> dict[str, int]:
    """So many processors as period and quota: unlike ``NanoCpus`` these can be changed later."""
    return {"CpuPeriod": PERIOD, "CpuQuota": round(float(cpus) * PERIOD)} if cpus else {}


def restart_policy(container: Container) -> dict[str, Any]:
    return {"Name": container.restart, "MaximumRetryCount": container.max_retry_count or 0}


def to_api(container: Container, own_labels: Mapping[str, str]) -> dict[str, Any]:
    """The body of the create call."""
    ports = [f"{port.internal}/{port.protocol}" for port in container.ports]
    anonymous = [use.container_path for use in container.volumes if _is_anonymous(use)]
    return _filled(
        {
            "Image": container.image,
            "Cmd": given(container.command),
            "Entrypoint": given(container.entrypoint),
            "Env": _listed(container.env),
            "User": container.user,
            "WorkingDir": container.working_dir,
            "Hostname": given(container.hostname),
            "Domainname": container.domainname,
            "Tty": container.tty,
            "OpenStdin": container.stdin_open,
            "StopSignal": given(container.stop_signal),
            "StopTimeout": given(container.stop_timeout),
            "Labels": merged(container.labels, own_labels),
            "ExposedPorts": {port: {} for port in ports} or None,
            "Volumes": {path: {} for path in anonymous} or None,
            "Healthcheck": _healthcheck(container),
            "HostConfig": _host_config(container),
            "NetworkingConfig": _first_network(container),
        }
    )


def _is_anonymous(use: Any) -> bool:
    return not (use.volume_name or use.host_path or use.from_container)


def _healthcheck(container: Container) -> dict[str, Any] | None:
    if not container.healthcheck:
        return None
    check = container.healthcheck[0]
    durations = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    times = {name: nanoseconds(text) for name, text in durations.items() if nanoseconds(text)}
    return {"Test": check.test, "Retries": check.retries, **times}


def _host_config(container: Container) -> dict[str, Any]:
    return _filled(
        {
            **_limits(container),
            **_isolation(container),
            **_storage(container),
            **_networking(container),
            "RestartPolicy": restart_policy(container),
            "AutoRemove": container.rm,
            "Init": given(container.init),
            "LogConfig": _logging(container),
        }
    )


def _limits(container: Container) -> dict[str, Any]:
    limits = {
        "Memory": _mib(container.memory),
        "MemorySwap": swap(container),
        "ShmSize": _mib(container.shm_size),
        "CpuShares": container.cpu_shares,
        "CpusetCpus": container.cpu_set,
        "CpuPeriod": container.cpu_period,
        "CpuQuota": container.cpu_quota,
        "Ulimits": [{"Name": u.name, "Soft": u.soft, "Hard": u.hard} for u in container.ulimit] or None,
        "DeviceRequests": _gpus(container),
    }
    return {**limits, **quota(container.cpus)}


def _gpus(container: Container) -> list[dict[str, Any]] | None:
    return [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}] if container.gpus else None


def _isolation(container: Container) -> dict[str, Any]:
    capabilities = container.capabilities[0] if container.capabilities else None
    return {
        "Privileged": container.privileged,
        "ReadonlyRootfs": container.read_only,
        "CapAdd": _listed(capabilities.add) if capabilities else None,
        "CapDrop": _listed(capabilities.drop) if capabilities else None,
        "SecurityOpt": _listed(container.security_opts),
        "Sysctls": container.sysctls,
        "GroupAdd": _listed(container.group_add),
        "Runtime": given(container.runtime),
        "IpcMode": given(container.ipc_mode),
        "PidMode": container.pid_mode,
        "UsernsMode": container.userns_mode,
        "CgroupnsMode": given(container.cgroupns_mode),
        "CgroupParent": given(container.cgroup_parent),
    }


def _storage(container: Container) -> dict[str, Any]:
    return {
        "Binds": _binds(container) or None,
        "VolumesFrom": _volumes_from(container) or None,
        "Mounts": [_mount(mount) for mount in container.mounts] or None,
        "Tmpfs": container.tmpfs,
        "StorageOpt": container.storage_opts,
        "Devices": [_device(device) for device in container.devices] or None,
    }


def _binds(container: Container) -> list[str]:
    """``source:target[:ro]``; the source is a volume's name or a path."""
    named = [use for use in container.volumes if use.volume_name or use.host_path]
    return [
        f"{use.volume_name or use.host_path}:{use.container_path}" + (":ro" if use.read_only else "") for use in named
    ]


def _volumes_from(container: Container) -> list[str]:
    return [use.from_container + (":ro" if use.read_only else "") for use in container.volumes if use.from_container]


def _device(device: Any) -> dict[str, str]:
    return {
        "PathOnHost": device.host_path,
        "PathInContainer": device.container_path or device.host_path,
        "CgroupPermissions": device.permissions or "rwm",
    }


def _mount(mount: Mount) -> dict[str, Any]:
    return _filled(
        {
            "Target": mount.target,
            "Source": mount.source,
            "Type": mount.type,
            "ReadOnly": bool(mount.read_only),
            "BindOptions": _bind_options(mount),
            "TmpfsOptions": _tmpfs_options(mount),
            "VolumeOptions": _volume_options(mount),
        }
    )


def _bind_options(mount: Mount) -> dict[str, Any] | None:
    return _filled({"Propagation": mount.bind_options[0].propagation}) if mount.bind_options else None


def _tmpfs_options(mount: Mount) -> dict[str, Any] | None:
    if not mount.tmpfs_options:
        return None
    options = mount.tmpfs_options[0]
    return _filled({"SizeBytes": options.size_bytes, "Mode": options.mode})


def _volume_options(mount: Mount) -> dict[str, Any] | None:
    if not mount.volume_options:
        return None
    options = mount.volume_options[0]
    driver = _filled({"Name": options.driver_name, "Options": options.driver_options})
    return _filled(
        {
            "NoCopy": options.no_copy,
            "Labels": {label.label: label.value for label in options.labels} or None,
            "DriverConfig": driver or None,
            "Subpath": options.subpath,
        }
    )


def _networking(container: Container) -> dict[str, Any]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in container.ports:
        outside = given(port.external)
        binding = {"HostIp": port.ip, "HostPort": str(outside) if outside else ""}
        bindings.setdefault(f"{port.internal}/{port.protocol}", []).append(binding)
    return {
        "NetworkMode": network_mode(container),
        "PortBindings": bindings or None,
        "PublishAllPorts": container.publish_all_ports,
        "Dns": _listed(container.dns),
        "DnsOptions": _listed(container.dns_opts),
        "DnsSearch": _listed(container.dns_search),
        "ExtraHosts": [f"{entry.host}:{entry.ip}" for entry in container.host] or None,
    }


def networks(container: Container) -> list[NetworkAttachment]:
    """The networks to join, always in the same order; they count only where the mode is the default."""
    if (container.network_mode or "") not in AUTOMATIC_MODES:
        return []
    return sorted(container.networks_advanced, key=lambda network: network.name)


def network_mode(container: Container) -> str | None:
    """The first network takes the place of the default bridge: the container never is in that."""
    joined = networks(container)
    return joined[0].name if joined else container.network_mode


def endpoint(network: NetworkAttachment) -> dict[str, Any]:
    """How to join a network, as the API takes it."""
    addresses = _filled({"IPv4Address": network.ipv4_address, "IPv6Address": network.ipv6_address})
    return _filled({"Aliases": _listed(network.aliases), "IPAMConfig": addresses or None})


def _first_network(container: Container) -> dict[str, Any] | None:
    joined = networks(container)
    return {"EndpointsConfig": {joined[0].name: endpoint(joined[0])}} if joined else None


def _logging(container: Container) -> dict[str, Any] | None:
    driver = given(container.log_driver)
    if driver is None and not container.log_opts:
        return None
    return {"Type": driver or "json-file", "Config": container.log_opts or {}}


def to_update(container: Container) -> dict[str, Any]:
    """The body of the update call: what can change while a container runs."""
    memory = _mib(container.memory) or 0
    # The engine refuses a memory limit above the swap limit it has, so both travel together;
    # twice the memory is what it chooses itself at create.
    swapping = swap(container) if container.memory_swap is not None else 2 * memory
    return {
        "RestartPolicy": restart_policy(container),
        "CpuShares": container.cpu_shares or 0,
        "CpusetCpus": container.cpu_set or "",
        "Memory": memory,
        "MemorySwap": swapping,
        **(quota(container.cpus) or {"CpuPeriod": 0, "CpuQuota": 0}),
    }
