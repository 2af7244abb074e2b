"""Volumes of a pod."""

from __future__ import annotations

from typing import ClassVar

from stead.api.provider import BlockSchema, attribute, block, matches, one_of
from stead_kubernetes.convert import Spec
from stead_kubernetes.metadata import Labelled
from stead_kubernetes.pod_parts import FieldReference, LabelSelector, Resources, is_quantity

IS_MODE = matches(r"0?[0-7]{3,4}", "must be a file mode in octal, such as 0644")


class Disk(Spec):
    """A disk of Amazon, by its id."""

    volume_id: str = attribute(required=True)
    fs_type: str | None = attribute(optional=True)
    partition: int | None = attribute(optional=True)
    read_only: bool | None = attribute(optional=True)


class AzureDisk(Spec):
    """A disk of Azure."""

    NAMES: ClassVar[dict[str, str]] = {"data_disk_uri": "diskURI"}
    caching_mode: str = attribute(required=True)
    data_disk_uri: str = attribute(required=True)
    disk_name: str = attribute(required=True)
    fs_type: str | None = attribute(optional=True)
    kind: str | None = attribute(optional=True, computed=True)
    read_only: bool = attribute(default=False)


class AzureFile(Spec):
    """A share of Azure."""

    read_only: bool | None = attribute(optional=True)
    secret_name: str = attribute(required=True)
    secret_namespace: str | None = attribute(optional=True)
    share_name: str = attribute(required=True)


class SecretName(Spec):
    """A secret by its name."""

    name: str | None = attribute(optional=True)
    namespace: str | None = attribute(optional=True)


class LocalSecretName(Spec):
    """A secret of the same namespace."""

    name: str | None = attribute(optional=True)


class CephFs(Spec):
    """A file system of Ceph."""

    monitors: set[str] = attribute(required=True)
    path: str | None = attribute(optional=True)
    read_only: bool | None = attribute(optional=True)
    secret_file: str | None = attribute(optional=True)
    user: str | None = attribute(optional=True)
    secret_ref: list[SecretName] = block(SecretName, max_items=1)


class Cinder(Spec):
    """A volume of OpenStack."""

    fs_type: str | None = attribute(optional=True)
    read_only: bool | None = attribute(optional=True)
    volume_id: str = attribute(required=True)


class File(Spec):
    """An entry as a file."""

    key: str | None = attribute(optional=True)
    mode: str | None = attribute(optional=True, validators=[IS_MODE])
    path: str | None = attribute(optional=True)


class ConfigMapVolume(Spec):
    """Entries of a config map as files."""

    default_mode: str = attribute(default="0644", validators=[IS_MODE])
    name: str | None = attribute(optional=True)
    optional: bool | None = attribute(optional=True)
    items: list[File] = block(File)


class SecretVolume(Spec):
    """Entries of a secret as files."""

    default_mode: str = attribute(default="0644", validators=[IS_MODE])
    optional: bool | None = attribute(optional=True)
    secret_name: str | None = attribute(optional=True)
    items: list[File] = block(File)


class Csi(Spec):
    """A volume of a storage driver."""

    driver: str = attribute(required=True)
    fs_type: str | None = attribute(optional=True)
    read_only: bool | None = attribute(optional=True)
    volume_attributes: dict[str, str] | None = attribute(optional=True)
    node_publish_secret_ref: list[LocalSecretName] = block(LocalSecretName, max_items=1)


class VolumeResource(Spec):
    """A resource of a container."""

    container_name: str = attribute(required=True)
    divisor: str = attribute(default="1", validators=[is_quantity])
    resource: str = attribute(required=True)


class PodFile(Spec):
    """A fact about the pod as a file."""

    mode: str | None = attribute(optional=True, validators=[IS_MODE])
    path: str = attribute(required=True)
    field_ref: list[FieldReference] = block(FieldReference, max_items=1)
    resource_field_ref: list[VolumeResource] = block(VolumeResource, max_items=1)


class DownwardApi(Spec):
    """Facts about the pod as files."""

    NAMES: ClassVar[dict[str, str]] = {"downward_api": "downwardAPI"}
    default_mode: str = attribute(default="0644", validators=[IS_MODE])
    items: list[PodFile] = block(PodFile)


class EmptyDir(Spec):
    """A folder that goes with the pod."""

    medium: str = attribute(default="")
    size_limit: str | None = attribute(optional=True, validators=[is_quantity])


class EphemeralSpec(Spec):
    """What volume to make."""

    access_modes: set[str] = attribute(required=True)
    storage_class_name: str | None = attribute(optional=True, computed=True)
    volume_mode: str | None = attribute(optional=True, computed=True)
    volume_name: str | None = attribute(optional=True, computed=True)
    resources: list[Resources] = block(Resources, min_items=1, max_items=1)
    selector: list[LabelSelector] = block(LabelSelector, max_items=1)


class ClaimTemplate(BlockSchema):
    """The claim of an ephemeral volume."""

    metadata: list[Labelled] = block(Labelled, max_items=1)
    spec: list[EphemeralSpec] = block(EphemeralSpec, min_items=1, max_items=1)


class Ephemeral(Spec):
    """A volume that is made for the pod."""

    volume_claim_template: list[ClaimTemplate] = block(ClaimTemplate, min_items=1, max_items=1)


class Fc(Spec):
    """A volume by Fibre Channel."""

    NAMES: ClassVar[dict[str, str]] = {"target_ww_ns": "targetWWNs"}
    fs_type: str | None = attribute(optional=True)
    lun: int = attribute(required=True)
    read_only: bool | None = attribute(optional=True)
    target_ww_ns: set[str] = attribute(required=True)


class FlexVolume(Spec):
    """A volume of an old storage driver."""

    driver: str = attribute(required=True)
    fs_type: str | None = attribute(optional=True)
    options: dict[str, str] | None = attribute(optional=True)
    read_only: bool | None = attribute(optional=True)
    secret_ref: list[SecretName] = block(SecretName, max_items=1)


class Flocker(Spec):
    """A volume of Flocker."""

    NAMES: ClassVar[dict[str, str]] = {"dataset_uuid": "datasetUUID"}
    dataset_name: str | None = attribute(optional=True)
    dataset_uuid: str | None = attribute(optional=True)


class GceDisk(Spec):
    """A disk of Google Cloud."""

    fs_type: str | None = attribute(optional=True)
    partition: int | None = attribute(optional=True)
    pd_name: str = attribute(required=True)
    read_only: bool | None = attribute(optional=True)


class GitRepo(Spec):
    """A checkout."""

    directory: str | None = attribute(optional=True)
    repository: str | None = attribute(optional=True)
    revision: str | None = attribute(optional=True)


class Glusterfs(Spec):
    """A file system of Gluster."""

    NAMES: ClassVar[dict[str, str]] = {"endpoints_name": "endpoints"}
    endpoints_name: str = attribute(required=True)
    path: str = attribute(required=True)
    read_only: bool | None = attribute(optional=True)


class HostPath(Spec):
    """A path of the node."""

    path: str | None = attribute(optional=True)
    type: str | None = attribute(optional=True)


class Iscsi(Spec):
    """A volume by iSCSI."""

    fs_type: str | None = attribute(optional=True)
    iqn: str = attribute(required=True)
    iscsi_interface: str = attribute(default="default")
    lun: int | None = attribute(optional=True)
    read_only: bool | None = attribute(optional=True)
    target_portal: str = attribute(required=True)


class Local(Spec):
    """A disk of the node."""

    path: str | None = attribute(optional=True)


class Nfs(Spec):
    """A share by NFS."""

    path: str = attribute(required=True)
    read_only: bool | None = attribute(optional=True)
    server: str = attribute(required=True)


class ClaimVolume(Spec):
    """A persistent volume claim."""

    claim_name: str | None = attribute(optional=True)
    read_only: bool = attribute(default=False)


class Photon(Spec):
    """A disk of Photon."""

    NAMES: ClassVar[dict[str, str]] = {"pd_id": "pdID"}
    fs_type: str | None = attribute(optional=True)
    pd_id: str = attribute(required=True)


class ProjectedFiles(Spec):
    """Entries of a config map or secret."""

    name: str | None = attribute(optional=True)
    optional: bool | None = attribute(optional=True)
    items: list[File] = block(File)


class ProjectedFacts(Spec):
    """Facts about the pod."""

    items: list[PodFile] = block(PodFile)


class ProjectedToken(Spec):
    """A token of the pod's service account."""

    audience: str | None = attribute(optional=True)
    expiration_seconds: int = attribute(default=3600)
    path: str = attribute(required=True)


class Source(Spec):
    """One source of a projected volume."""

    NAMES: ClassVar[dict[str, str]] = {"downward_api": "downwardAPI", "secret": "secret"}
    OBJECTS = frozenset({"config_map", "downward_api", "secret"})
    config_map: list[ProjectedFiles] = block(ProjectedFiles)
    downward_api: list[ProjectedFacts] = block(ProjectedFacts, max_items=1)
    secret: list[ProjectedFiles] = block(ProjectedFiles)
    service_account_token: list[ProjectedToken] = block(ProjectedToken, max_items=1)


class Projected(Spec):
    """Several sources in one folder."""

    default_mode: str = attribute(default="0644", validators=[IS_MODE])
    sources: list[Source] = block(Source, min_items=1)


class Quobyte(Spec):
    """A volume of Quobyte."""

    group: str | None = attribute(optional=True)
    read_only: bool | None = attribute(optional=True)
    registry: str = attribute(required=True)
    user: str | None = attribute(optional=True)
    volume: str = attribute(required=True)


class Rbd(Spec):
    """A block device of Ceph."""

    NAMES: ClassVar[dict[str, str]] = {
        "ceph_monitors": "monitors",
        "rados_user": "user",
        "rbd_image": "image",
        "rbd_pool": "pool",
    }
    ceph_monitors: set[str] = attribute(required=True)
    fs_type: str | None = attribute(optional=True)
    keyring: str | None = attribute(optional=True, computed=True)
    rados_user: str = attribute(default="admin")
    rbd_image: str = attribute(required=True)
    rbd_pool: str = attribute(default="rbd")
    read_only: bool = attribute(default=False)
    secret_ref: list[SecretName] = block(SecretName, max_items=1)


class Vsphere(Spec):
    """A disk of vSphere."""

    fs_type: str | None = attribute(optional=True)
    volume_path: str = attribute(required=True)


class Volume(Spec):
    """A volume that containers of a pod may mount."""

    NAMES: ClassVar[dict[str, str]] = {
        "aws_elastic_block_store": "awsElasticBlockStore",
        "ceph_fs": "cephfs",
        "downward_api": "downwardAPI",
        "secret": "secret",
    }
    OBJECTS = frozenset({"projected"})
    name: str | None = attribute(optional=True)
    aws_elastic_block_store: list[Disk] = block(Disk, max_items=1)
    azure_disk: list[AzureDisk] = block(AzureDisk, max_items=1)
    azure_file: list[AzureFile] = block(AzureFile, max_items=1)
    ceph_fs: list[CephFs] = block(CephFs, max_items=1)
    cinder: list[Cinder] = block(Cinder, max_items=1)
    config_map: list[ConfigMapVolume] = block(ConfigMapVolume, max_items=1)
    csi: list[Csi] = block(Csi, max_items=1)
    downward_api: list[DownwardApi] = block(DownwardApi, max_items=1)
    empty_dir: list[EmptyDir] = block(EmptyDir, max_items=1)
    ephemeral: list[Ephemeral] = block(Ephemeral, max_items=1)
    fc: list[Fc] = block(Fc, max_items=1)
    flex_volume: list[FlexVolume] = block(FlexVolume, max_items=1)
    flocker: list[Flocker] = block(Flocker, max_items=1)
    gce_persistent_disk: list[GceDisk] = block(GceDisk, max_items=1)
    git_repo: list[GitRepo] = block(GitRepo, max_items=1)
    glusterfs: list[Glusterfs] = block(Glusterfs, max_items=1)
    host_path: list[HostPath] = block(HostPath, max_items=1)
    iscsi: list[Iscsi] = block(Iscsi, max_items=1)
    local: list[Local] = block(Local, max_items=1)
    nfs: list[Nfs] = block(Nfs, max_items=1)
    persistent_volume_claim: list[ClaimVolume] = block(ClaimVolume, max_items=1)
    photon_persistent_disk: list[Photon] = block(Photon, max_items=1)
    projected: list[Projected] = block(Projected)
    quobyte: list[Quobyte] = block(Quobyte, max_items=1)
    rbd: list[Rbd] = block(Rbd, max_items=1)
    secret: list[SecretVolume] = block(SecretVolume, max_items=1)
    vsphere_volume: list[Vsphere] = block(Vsphere, max_items=1)


ACCESS_MODES = one_of("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
