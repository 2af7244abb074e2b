"""What containers and pods have in common with other objects: selectors, probes, references, security."""

from __future__ import annotations

from stead.api.provider import attribute, block, matches, one_of
from stead_kubernetes.convert import Spec
from stead_kubernetes.quantities import amount, are_quantities

IS_NUMBER = matches(r"\d+", "must be a whole number")


def is_quantity(value: str) -> None:
    """A validator."""
    amount(value)


class Expression(Spec):
    """A requirement that labels must meet."""

    key: str | None = attribute(optional=True)
    operator: str | None = attribute(optional=True, description="In, NotIn, Exists, DoesNotExist, Gt or Lt.")
    values: set[str] | None = attribute(optional=True)


class LabelSelector(Spec):
    """Which labels an object must have."""

    match_labels: dict[str, str] | None = attribute(optional=True)
    match_expressions: list[Expression] = block(Expression)


class KeyReference(Spec):
    """One entry of a config map or secret."""

    key: str | None = attribute(optional=True)
    name: str | None = attribute(optional=True)
    optional: bool | None = attribute(optional=True)


class FieldReference(Spec):
    """A field of the pod."""

    api_version: str = attribute(default="v1")
    field_path: str | None = attribute(optional=True)


class ResourceReference(Spec):
    """A resource of the container."""

    resource: str = attribute(required=True)
    container_name: str | None = attribute(optional=True)
    divisor: str = attribute(default="1", validators=[is_quantity])


class ValueFrom(Spec):
    """Where a variable's value comes from."""

    config_map_key_ref: list[KeyReference] = block(KeyReference, max_items=1)
    field_ref: list[FieldReference] = block(FieldReference, max_items=1)
    resource_field_ref: list[ResourceReference] = block(ResourceReference, max_items=1)
    secret_key_ref: list[KeyReference] = block(KeyReference, max_items=1)


class Variable(Spec):
    """An environment variable."""

    name: str = attribute(required=True)
    value: str | None = attribute(optional=True)
    value_from: list[ValueFrom] = block(ValueFrom, max_items=1)


class NameReference(Spec):
    """A config map or secret by its name."""

    name: str = attribute(required=True)
    optional: bool | None = attribute(optional=True)


class VariablesFrom(Spec):
    """All entries of a config map or secret as variables."""

    prefix: str | None = attribute(optional=True)
    config_map_ref: list[NameReference] = block(NameReference, max_items=1)
    secret_ref: list[NameReference] = block(NameReference, max_items=1)


class Exec(Spec):
    """A command in the container."""

    command: list[str] | None = attribute(optional=True)


class Header(Spec):
    """A header of a request."""

    name: str | None = attribute(optional=True)
    value: str | None = attribute(optional=True)


class HttpGet(Spec):
    """A request to the container."""

    host: str | None = attribute(optional=True)
    path: str | None = attribute(optional=True)
    port: str | None = attribute(optional=True)
    scheme: str = attribute(default="HTTP", validators=[one_of("HTTP", "HTTPS")])
    http_header: list[Header] = block(Header)


class TcpSocket(Spec):
    """A connection to the container."""

    port: str = attribute(required=True)


class Grpc(Spec):
    """A health check by gRPC."""

    port: int = attribute(required=True)
    service: str | None = attribute(optional=True)


class Handler(Spec):
    """What to do at the begin or end of a container."""

    OBJECTS = frozenset({"tcp_socket"})
    exec: list[Exec] = block(Exec, max_items=1)
    http_get: list[HttpGet] = block(HttpGet, max_items=1)
    tcp_socket: list[TcpSocket] = block(TcpSocket)


class Lifecycle(Spec):
    """Actions at the begin and end of a container."""

    OBJECTS = frozenset({"post_start", "pre_stop"})
    post_start: list[Handler] = block(Handler)
    pre_stop: list[Handler] = block(Handler)


class Probe(Handler):
    """How to see whether the container is well."""

    OBJECTS = frozenset({"tcp_socket", "grpc"})
    failure_threshold: int = attribute(default=3)
    initial_delay_seconds: int | None = attribute(optional=True)
    period_seconds: int = attribute(default=10)
    success_threshold: int = attribute(default=1)
    timeout_seconds: int = attribute(default=1)
    grpc: list[Grpc] = block(Grpc)


class Resources(Spec):
    """What a container may use, and what is kept free for it."""

    limits: dict[str, str] | None = attribute(optional=True, validators=[are_quantities])
    requests: dict[str, str] | None = attribute(optional=True, validators=[are_quantities])


class Capabilities(Spec):
    """Capabilities of the kernel."""

    add: list[str] | None = attribute(optional=True)
    drop: list[str] | None = attribute(optional=True)


class SeLinux(Spec):
    """SELinux labels."""

    level: str | None = attribute(optional=True)
    role: str | None = attribute(optional=True)
    type: str | None = attribute(optional=True)
    user: str | None = attribute(optional=True)


class Seccomp(Spec):
    """Filter of system calls."""

    localhost_profile: str | None = attribute(optional=True)
    type: str = attribute(default="Unconfined", validators=[one_of("Localhost", "RuntimeDefault", "Unconfined")])


class ContainerSecurity(Spec):
    """Whose rights a container has."""

    allow_privilege_escalation: bool = attribute(default=True)
    privileged: bool = attribute(default=False)
    read_only_root_filesystem: bool = attribute(default=False)
    run_as_group: str | None = attribute(optional=True, validators=[IS_NUMBER])
    run_as_non_root: bool | None = attribute(optional=True)
    run_as_user: str | None = attribute(optional=True, validators=[IS_NUMBER])
    capabilities: list[Capabilities] = block(Capabilities, max_items=1)
    se_linux_options: list[SeLinux] = block(SeLinux, max_items=1)
    seccomp_profile: list[Seccomp] = block(Seccomp, max_items=1)


class Sysctl(Spec):
    """A parameter of the kernel."""

    name: str = attribute(required=True)
    value: str = attribute(required=True)


class WindowsOptions(Spec):
    """For containers of Windows."""

    gmsa_credential_spec: str | None = attribute(optional=True)
    gmsa_credential_spec_name: str | None = attribute(optional=True)
    host_process: bool = attribute(default=False)
    run_as_username: str | None = attribute(optional=True)


class PodSecurity(Spec):
    """Whose rights all containers of a pod have."""

    fs_group: str | None = attribute(optional=True, validators=[IS_NUMBER])
    fs_group_change_policy: str | None = attribute(optional=True, validators=[one_of("Always", "OnRootMismatch")])
    run_as_group: str | None = attribute(optional=True, validators=[IS_NUMBER])
    run_as_non_root: bool | None = attribute(optional=True)
    run_as_user: str | None = attribute(optional=True, validators=[IS_NUMBER])
    supplemental_groups: set[int] | None = attribute(optional=True)
    se_linux_options: list[SeLinux] = block(SeLinux, max_items=1)
    seccomp_profile: list[Seccomp] = block(Seccomp, max_items=1)
    sysctl: list[Sysctl] = block(Sysctl)
    windows_options: list[WindowsOptions] = block(WindowsOptions, max_items=1)


class Port(Spec):
    """A port that a container listens on."""

    container_port: int = attribute(required=True)
    host_ip: str | None = attribute(optional=True)
    host_port: int | None = attribute(optional=True)
    name: str | None = attribute(optional=True)
    protocol: str = attribute(default="TCP", validators=[one_of("TCP", "UDP", "SCTP")])


class VolumeDevice(Spec):
    """A volume as a device."""

    device_path: str = attribute(required=True)
    name: str = attribute(required=True)


class VolumeMount(Spec):
    """A volume in a container's file system."""

    mount_path: str = attribute(required=True)
    mount_propagation: str = attribute(default="None", validators=[one_of("None", "HostToContainer", "Bidirectional")])
    name: str = attribute(required=True)
    read_only: bool = attribute(default=False)
    sub_path: str | None = attribute(optional=True)
    sub_path_expr: str | None = attribute(optional=True)


class Container(Spec):
    """A container of a pod."""

    name: str = attribute(required=True)
    args: list[str] | None = attribute(optional=True)
    command: list[str] | None = attribute(optional=True)
    image: str | None = attribute(optional=True)
    image_pull_policy: str | None = attribute(
        optional=True, computed=True, validators=[one_of("Always", "IfNotPresent", "Never")]
    )
    stdin: bool = attribute(default=False)
    stdin_once: bool = attribute(default=False)
    termination_message_path: str = attribute(default="/dev/termination-log")
    termination_message_policy: str | None = attribute(
        optional=True, computed=True, validators=[one_of("File", "FallbackToLogsOnError")]
    )
    tty: bool = attribute(default=False)
    working_dir: str | None = attribute(optional=True)
    env: list[Variable] = block(Variable)
    env_from: list[VariablesFrom] = block(VariablesFrom)
    lifecycle: list[Lifecycle] = block(Lifecycle, max_items=1)
    liveness_probe: list[Probe] = block(Probe, max_items=1)
    port: list[Port] = block(Port)
    readiness_probe: list[Probe] = block(Probe, max_items=1)
    resources: list[Resources] = block(Resources, max_items=1)
    security_context: list[ContainerSecurity] = block(ContainerSecurity, max_items=1)
    startup_probe: list[Probe] = block(Probe, max_items=1)
    volume_device: list[VolumeDevice] = block(VolumeDevice)
    volume_mount: list[VolumeMount] = block(VolumeMount)
