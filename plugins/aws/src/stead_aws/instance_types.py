"""Data source: what a size of machine has."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ResourceNotFound
from stead.api.provider import Context, Nesting, ObjectSchema, attribute, block
from stead_aws.base import ReadTimeouts, limit_of
from stead_aws.cloud import Found, cloud_of, limited
from stead_aws.lookups import Lookup


class Gpu(ObjectSchema):
    """Graphics processors."""

    count: int | None = attribute(computed=True)
    manufacturer: str | None = attribute(computed=True)
    memory_size: int | None = attribute(computed=True)
    name: str | None = attribute(computed=True)


class InstanceDisk(ObjectSchema):
    """Disks of the host."""

    count: int | None = attribute(computed=True)
    size: int | None = attribute(computed=True)
    type: str | None = attribute(computed=True)


class InstanceType(Lookup, name="aws_ec2_instance_type"):
    """A size of machine: processors, memory, disks."""

    id: str | None = attribute(optional=True, computed=True, description="Not to be set.")
    instance_type: str = attribute(required=True, description="Such as t3.large.")
    timeouts: ReadTimeouts | None = block(ReadTimeouts, nesting=Nesting.SINGLE)
    auto_recovery_supported: bool | None = attribute(computed=True)
    bare_metal: bool | None = attribute(computed=True)
    boot_modes: set[str] | None = attribute(computed=True)
    burstable_performance_supported: bool | None = attribute(computed=True)
    current_generation: bool | None = attribute(computed=True)
    dedicated_hosts_supported: bool | None = attribute(computed=True)
    default_cores: int | None = attribute(computed=True)
    default_threads_per_core: int | None = attribute(computed=True)
    default_vcpus: int | None = attribute(computed=True)
    ebs_encryption_support: str | None = attribute(computed=True)
    ebs_nvme_support: str | None = attribute(computed=True)
    ebs_optimized_support: str | None = attribute(computed=True)
    ebs_performance_baseline_bandwidth: int | None = attribute(computed=True)
    ebs_performance_baseline_iops: int | None = attribute(computed=True)
    ebs_performance_baseline_throughput: float | None = attribute(computed=True)
    ebs_performance_maximum_bandwidth: int | None = attribute(computed=True)
    ebs_performance_maximum_iops: int | None = attribute(computed=True)
    ebs_performance_maximum_throughput: float | None = attribute(computed=True)
    efa_supported: bool | None = attribute(computed=True)
    ena_support: str | None = attribute(computed=True)
    encryption_in_transit_supported: bool | None = attribute(computed=True)
    free_tier_eligible: bool | None = attribute(computed=True)
    gpus: list[Gpu] | None = attribute(computed=True)
    hibernation_supported: bool | None = attribute(computed=True)
    hypervisor: str | None = attribute(computed=True)
    instance_disks: list[InstanceDisk] | None = attribute(computed=True)
    instance_storage_supported: bool | None = attribute(computed=True)
    ipv6_supported: bool | None = attribute(computed=True)
    maximum_ipv4_addresses_per_interface: int | None = attribute(computed=True)
    maximum_ipv6_addresses_per_interface: int | None = attribute(computed=True)
    maximum_network_cards: int | None = attribute(computed=True)
    maximum_network_interfaces: int | None = attribute(computed=True)
    memory_size: int | None = attribute(computed=True)
    network_performance: str | None = attribute(computed=True)
    nitro_enclaves_support: str | None = attribute(computed=True)
    nitro_tpm_support: str | None = attribute(computed=True)
    supported_architectures: list[str] | None = attribute(computed=True)
    supported_placement_strategies: set[str] | None = attribute(computed=True)
    supported_root_device_types: list[str] | None = attribute(computed=True)
    supported_usages_classes: list[str] | None = attribute(computed=True)
    supported_virtualization_types: list[str] | None = attribute(computed=True)
    sustained_clock_speed: float | None = attribute(computed=True)
    total_gpu_memory: int | None = attribute(computed=True)
    total_instance_storage: int | None = attribute(computed=True)
    valid_cores: list[int] | None = attribute(computed=True)
    valid_threads_per_core: list[int] | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "read", 1200.0)) as inner:
            answer = cloud_of(inner).ask(
                inner,
                f"Type {self.instance_type} could not be read",
                "ec2",
                "DescribeInstanceTypes",
                region=self.where(inner),
                field="instance_type",
                InstanceTypes=[self.instance_type],
            )
        if not answer["InstanceTypes"]:
            raise ResourceNotFound(f"{self.region} has no type {self.instance_type}.", field="instance_type")
        self.id = self.instance_type
        for name, value in _facts(answer["InstanceTypes"][0]).items():
            setattr(self, name, value)


FLAGS = {
    "auto_recovery_supported": "AutoRecoverySupported",
    "bare_metal": "BareMetal",
    "burstable_performance_supported": "BurstablePerformanceSupported",
    "current_generation": "CurrentGeneration",
    "dedicated_hosts_supported": "DedicatedHostsSupported",
    "free_tier_eligible": "FreeTierEligible",
    "hibernation_supported": "HibernationSupported",
    "instance_storage_supported": "InstanceStorageSupported",
}
LISTS = {
    "supported_root_device_types": "SupportedRootDeviceTypes",
    "supported_usages_classes": "SupportedUsageClasses",
    "supported_virtualization_types": "SupportedVirtualizationTypes",
}


def _facts(found: Found) -> dict[str, Any]:
    processor, cpu = found.get("ProcessorInfo") or {}, found.get("VCpuInfo") or {}
    return {
        **{name: bool(found.get(member)) for name, member in FLAGS.items()},
        **{name: sorted(found.get(member) or ()) for name, member in LISTS.items()},
        "boot_modes": set(found.get("SupportedBootModes") or ()),
        "default_cores": cpu.get("DefaultCores"),
        "default_threads_per_core": cpu.get("DefaultThreadsPerCore"),
        "default_vcpus": cpu.get("DefaultVCpus"),
        "valid_cores": cpu.get("ValidCores") or [],
        "valid_threads_per_core": cpu.get("ValidThreadsPerCore") or [],
        "hypervisor": found.get("Hypervisor") or "",
        "memory_size": (found.get("MemoryInfo") or {}).get("SizeInMiB"),
        "supported_architectures": processor.get("SupportedArchitectures") or [],
        "sustained_clock_speed": processor.get("SustainedClockSpeedInGhz"),
        "supported_placement_strategies": set((found.get("PlacementGroupInfo") or {}).get("SupportedStrategies") or ()),
        "nitro_enclaves_support": found.get("NitroEnclavesSupport") or "",
        "nitro_tpm_support": found.get("NitroTpmSupport") or "",
        **_storage(found),
        **_network(found),
        **_graphics(found),
    }


def _storage(found: Found) -> dict[str, Any]:
    ebs, disks = found.get("EbsInfo") or {}, found.get("InstanceStorageInfo") or {}
    speed = ebs.get("EbsOptimizedInfo") or {}
    return {
        "ebs_encryption_support": ebs.get("EncryptionSupport") or "",
        "ebs_nvme_support": ebs.get("NvmeSupport") or "",
        "ebs_optimized_support": ebs.get("EbsOptimizedSupport") or "",
        "ebs_performance_baseline_bandwidth": speed.get("BaselineBandwidthInMbps"),
        "ebs_performance_baseline_iops": speed.get("BaselineIops"),
        "ebs_performance_baseline_throughput": _float(speed.get("BaselineThroughputInMBps")),
        "ebs_performance_maximum_bandwidth": speed.get("MaximumBandwidthInMbps"),
        "ebs_performance_maximum_iops": speed.get("MaximumIops"),
        "ebs_performance_maximum_throughput": _float(speed.get("MaximumThroughputInMBps")),
        "total_instance_storage": disks.get("TotalSizeInGB"),
        "instance_disks": [
            InstanceDisk(count=item.get("Count"), size=item.get("SizeInGB"), type=item.get("Type"))
            for item in disks.get("Disks") or ()
        ],
    }


def _network(found: Found) -> dict[str, Any]:
    network = found.get("NetworkInfo") or {}
    return {
        "efa_supported": bool(network.get("EfaSupported")),
        "ena_support": network.get("EnaSupport") or "",
        "encryption_in_transit_supported": bool(network.get("EncryptionInTransitSupported")),
        "ipv6_supported": bool(network.get("Ipv6Supported")),
        "maximum_ipv4_addresses_per_interface": network.get("Ipv4AddressesPerInterface"),
        "maximum_ipv6_addresses_per_interface": network.get("Ipv6AddressesPerInterface"),
        "maximum_network_cards": network.get("MaximumNetworkCards"),
        "maximum_network_interfaces": network.get("MaximumNetworkInterfaces"),
        "network_performance": network.get("NetworkPerformance") or "",
    }


def _graphics(found: Found) -> dict[str, Any]:
    graphics = found.get("GpuInfo") or {}
    return {
        "total_gpu_memory": graphics.get("TotalGpuMemoryInMiB"),
        "gpus": [
            Gpu(
                count=item.get("Count"),
                manufacturer=item.get("Manufacturer"),
                memory_size=(item.get("MemoryInfo") or {}).get("SizeInMiB"),
                name=item.get("Name"),
            )
            for item in graphics.get("Gpus") or ()
        ],
    }


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
