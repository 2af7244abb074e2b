"""The nested blocks of ``docker_container``."""

from __future__ import annotations

from stead.api.provider import (
    BlockSchema,
    Nesting,
    ObjectSchema,
    attribute,
    between,
    block,
    matches,
    non_empty,
    one_of,
)
from stead_docker.durations import is_duration
from stead_docker.labels import Label

absolute = matches(r"/.*", "must be an absolute path")
octal = matches(r"0?[0-7]{3,4}", "must be an octal mode such as 0644")


class Capabilities(BlockSchema):
    """Linux capabilities."""

    add: set[str] | None = attribute(optional=True, force_new=True, description="To add (CAP_SYS_PTRACE, ALL).")
    drop: set[str] | None = attribute(optional=True, force_new=True, description="To take away.")


class Device(BlockSchema):
    """A device of the engine's machine."""

    host_path: str = attribute(required=True, force_new=True, description="Path on the engine's machine.")
    container_path: str | None = attribute(
        optional=True, force_new=True, description="Path in the container; the same."
    )
    permissions: str | None = attribute(
        optional=True,
        force_new=True,
        validators=[matches(r"[rwm]{1,3}", "must be of the letters r, w and m")],
        description="Of r, w and m; rwm where not set.",
    )


class Healthcheck(BlockSchema):
    """How the engine finds out whether the container is healthy."""

    test: list[str] = attribute(
        required=True, force_new=True, validators=[non_empty], description='["CMD", …] or ["CMD-SHELL", "…"].'
    )
    interval: str = attribute(default="0s", force_new=True, validators=[is_duration], description="Between two checks.")
    timeout: str = attribute(default="0s", force_new=True, validators=[is_duration], description="Of one check.")
    start_period: str = attribute(
        default="0s", force_new=True, validators=[is_duration], description="In which failures do not count."
    )
    start_interval: str = attribute(
        default="0s",
        force_new=True,
        validators=[is_duration],
        description="Between two checks in that period.",
    )
    retries: int = attribute(
        default=0, force_new=True, validators=[between(0)], description="Failures until unhealthy."
    )


class Host(BlockSchema):
    """A line of the container's /etc/hosts."""

    host: str = attribute(required=True, force_new=True, description="Name.")
    ip: str = attribute(required=True, force_new=True, description="Address; host-gateway is the engine's machine.")


class BindOptions(BlockSchema):
    """Of a bind mount."""

    propagation: str | None = attribute(
        optional=True,
        force_new=True,
        validators=[one_of("private", "rprivate", "shared", "rshared", "slave", "rslave")],
        description="How mounts inside spread.",
    )


class TmpfsOptions(BlockSchema):
    """Of a tmpfs mount."""

    mode: int | None = attribute(optional=True, force_new=True, description="Permissions as a number.")
    size_bytes: int | None = attribute(optional=True, force_new=True, description="Size in bytes.")


class VolumeOptions(BlockSchema):
    """Of a volume mount."""

    driver_name: str | None = attribute(optional=True, force_new=True, description="Driver that creates the volume.")
    driver_options: dict[str, str] | None = attribute(optional=True, force_new=True, description="Its options.")
    no_copy: bool | None = attribute(optional=True, force_new=True, description="Do not fill it from the image.")
    subpath: str | None = attribute(
        optional=True, force_new=True, description="Path within the volume; API 1.45 or later."
    )
    labels: list[Label] = block(Label, nesting=Nesting.SET, force_new=True)


class Mount(BlockSchema):
    """A mount, as docker run --mount has it."""

    target: str = attribute(required=True, force_new=True, validators=[absolute], description="Path in the container.")
    type: str = attribute(
        required=True,
        force_new=True,
        validators=[one_of("bind", "volume", "tmpfs")],
        description="Kind of mount.",
    )
    source: str | None = attribute(
        optional=True, force_new=True, description="Volume's name, or path on the engine's machine."
    )
    read_only: bool | None = attribute(optional=True, force_new=True, description="Nothing can be written.")
    bind_options: list[BindOptions] = block(BindOptions, max_items=1, force_new=True)
    tmpfs_options: list[TmpfsOptions] = block(TmpfsOptions, max_items=1, force_new=True)
    volume_options: list[VolumeOptions] = block(VolumeOptions, max_items=1, force_new=True)


class NetworkAttachment(BlockSchema):
    """A network that the container joins."""

    name: str = attribute(required=True, force_new=True, description="Name or id of the network.")
    aliases: set[str] | None = attribute(
        optional=True, force_new=True, description="Further names of the container there."
    )
    ipv4_address: str | None = attribute(optional=True, force_new=True, description="Address to have there.")
    ipv6_address: str | None = attribute(optional=True, force_new=True, description="IPv6 address to have there.")


class Port(BlockSchema):
    """A port that is published on the engine's machine."""

    internal: int = attribute(
        required=True, force_new=True, validators=[between(1, 65535)], description="Port in the container."
    )
    external: int | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[between(0, 65535)],
        description="Port outside; a free one where not set.",
    )
    ip: str = attribute(default="0.0.0.0", force_new=True, description="Address to listen on.")  # noqa: S104
    protocol: str = attribute(
        default="tcp", force_new=True, validators=[one_of("tcp", "udp", "sctp")], description="Protocol."
    )


class Ulimit(BlockSchema):
    """A resource limit of the processes."""

    name: str = attribute(required=True, force_new=True, description="nofile, nproc …")
    soft: int = attribute(required=True, force_new=True, description="Soft limit.")
    hard: int = attribute(required=True, force_new=True, description="Hard limit.")


class Upload(BlockSchema):
    """A file that is put into the container before it starts."""

    file: str = attribute(required=True, force_new=True, validators=[absolute], description="Path in the container.")
    content: str | None = attribute(
        optional=True,
        force_new=True,
        conflicts_with=["content_base64", "source"],
        description="Text of the file.",
    )
    content_base64: str | None = attribute(
        optional=True, force_new=True, conflicts_with=["content", "source"], description="Content in base64."
    )
    source: str | None = attribute(
        optional=True,
        force_new=True,
        conflicts_with=["content", "content_base64"],
        description="File to copy.",
    )
    source_hash: str | None = attribute(
        optional=True, force_new=True, description="A change of it uploads again: filemd5 of the source."
    )
    executable: bool = attribute(default=False, force_new=True, description="The owner may execute it.")
    permissions: str | None = attribute(
        optional=True,
        force_new=True,
        validators=[octal],
        description="Mode such as 0644; counts before executable.",
    )


class VolumeUse(BlockSchema):
    """A volume or a folder of the engine's machine in the container."""

    container_path: str | None = attribute(
        optional=True, force_new=True, validators=[absolute], description="Path in the container."
    )
    volume_name: str | None = attribute(optional=True, force_new=True, description="Name of the volume.")
    host_path: str | None = attribute(
        optional=True, force_new=True, validators=[absolute], description="Path on the engine's machine."
    )
    from_container: str | None = attribute(
        optional=True, force_new=True, description="Container whose volumes to take."
    )
    read_only: bool | None = attribute(optional=True, force_new=True, description="Nothing can be written.")


class NetworkData(ObjectSchema):
    """How the container is reached in one of its networks."""

    network_name: str = attribute(computed=True)
    ip_address: str = attribute(computed=True)
    ip_prefix_length: int = attribute(computed=True)
    gateway: str = attribute(computed=True)
    mac_address: str = attribute(computed=True)
    ipv6_gateway: str = attribute(computed=True)
    global_ipv6_address: str = attribute(computed=True)
    global_ipv6_prefix_length: int = attribute(computed=True)
