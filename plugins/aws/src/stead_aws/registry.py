"""The resource types and data sources of the provider."""

from __future__ import annotations

from stead_aws.iam_profile import InstanceProfile
from stead_aws.iam_role import Role, RolePolicy, RolePolicyAttachment
from stead_aws.instance import Instance, InstanceState
from stead_aws.instance_types import InstanceType
from stead_aws.lookups import Ami, AvailabilityZones, CallerIdentity, Region
from stead_aws.networks import Subnet, Vpc
from stead_aws.policy_document import PolicyDocument
from stead_aws.security_group import SecurityGroup
from stead_aws.security_rule import EgressRule, IngressRule, SecurityGroupRule
from stead_aws.spot import SpotInstanceRequest
from stead_aws.volume import Volume, VolumeAttachment

RESOURCES = [
    EgressRule,
    IngressRule,
    Instance,
    InstanceProfile,
    InstanceState,
    Role,
    RolePolicy,
    RolePolicyAttachment,
    SecurityGroup,
    SecurityGroupRule,
    SpotInstanceRequest,
    Volume,
    VolumeAttachment,
]
DATA_SOURCES = [Ami, AvailabilityZones, CallerIdentity, InstanceType, PolicyDocument, Region, Subnet, Vpc]
