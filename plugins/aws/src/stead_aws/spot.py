"""``aws_spot_instance_request``."""

from __future__ import annotations

import time
from typing import Any

from stead.api.errors import CapacityExhausted, ProviderFailure, ResourceNotFound
from stead.api.provider import BlockSchema, Context, Nesting, Plan, Unknown, attribute, block, is_known, one_of
from stead.api.provider.durations import is_duration
from stead_aws import instance_life as life
from stead_aws import instance_request as request
from stead_aws import instance_view as view
from stead_aws import tags as tagging
from stead_aws.base import effective_tags, given, key_filter, limit_of, read_tags
from stead_aws.cloud import Found, cloud_of, limited, token_of
from stead_aws.failures import by_code
from stead_aws.instance_fields import InstanceFields

OVER = ("cancelled", "closed", "failed")


class SpotTimeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its fulfilment.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")
    read: str | None = attribute(optional=True, validators=[is_duration], description="To be read.")


class SpotInstanceRequest(InstanceFields, name="aws_spot_instance_request", version=2):
    """A machine from spare capacity: cheaper, and AWS may take it back."""

    spot_bid_status: str | None = attribute(computed=True)
    spot_instance_id: str | None = attribute(computed=True)
    spot_request_state: str | None = attribute(computed=True)
    spot_price: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Highest price per hour in USD."
    )
    spot_type: str = attribute(
        default="persistent",
        validators=[one_of("persistent", "one-time")],
        description="persistent comes again after an interruption.",
    )
    instance_interruption_behavior: str = attribute(
        default="terminate",
        force_new=True,
        validators=[one_of("hibernate", "stop", "terminate")],
        description="What an interruption does: hibernate, stop or terminate.",
    )
    launch_group: str | None = attribute(optional=True, force_new=True, description="Start and end together.")
    valid_from: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Begin (UTC, RFC 3339)."
    )
    valid_until: str | None = attribute(
        optional=True, computed=True, force_new=True, description="End (UTC, RFC 3339)."
    )
    wait_for_fulfillment: bool = attribute(default=False, description="Come back when there is a machine.")
    timeouts: SpotTimeouts | None = block(SpotTimeouts, nesting=Nesting.SINGLE)

    def plan(self, context: Context, plan: Plan) -> None:
        """Only tags and how it ends can change: the rest is said once, when the machine is asked for."""
        super().plan(context, plan)
        fixed = {"instance_type", "iam_instance_profile", "vpc_security_group_ids", "source_dest_check", "monitoring"}
        fixed |= {"spot_type", "root_block_device"}
        for name in (fixed & plan.changed) | self._changed_user_data(plan):
            if is_known(getattr(plan.prior, name, None)):
                plan.require_replace(name)

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create", 600.0)) as inner:
            self.id = cloud_of(inner).make(
                inner,
                "The spot request could not be made",
                lambda: self._own(inner),
                "ec2",
                "RequestSpotInstances",
                accept=lambda answer: str(answer["SpotInstanceRequests"][0]["SpotInstanceRequestId"]),
                region=self.where(inner),
                unsettled=life.FRESH,
                ClientToken=token_of(inner),
                TagSpecifications=tagging.specification(
                    "spot-instances-request", effective_tags(inner, given(self.tags))
                ),
                **self._request(inner),
            )
            found = self._described(inner)
            if self.wait_for_fulfillment:
                found = self._fulfilled(inner)
            self._assign(inner, found or {})
            self._claim(inner)

    def _request(self, context: Context) -> dict[str, Any]:
        specification = request.specification(self, encode=True)
        specification.update(life.root_mappings(self, context))
        groups = given(self.security_groups)
        if groups and not specification.get("SecurityGroupIds"):
            specification["SecurityGroups"] = sorted(groups)
        values = {
            "InstanceCount": 1,
            "Type": self.spot_type,
            "SpotPrice": given(self.spot_price) or None,
            "LaunchGroup": self.launch_group,
            "ValidFrom": given(self.valid_from) or None,
            "ValidUntil": given(self.valid_until) or None,
            "InstanceInterruptionBehavior": self.instance_interruption_behavior,
            "LaunchSpecification": specification,
        }
        return {name: value for name, value in values.items() if value is not None}

    def _own(self, context: Context) -> str | None:
        if not context.key:
            return None
        doing = "Spot requests could not be listed"
        answer = self.ask(context, doing, "DescribeSpotInstanceRequests", Filters=key_filter(context))
        items = [item for item in answer["SpotInstanceRequests"] if item["State"] not in OVER]
        mine = [item for item in items if tagging.of_api(item.get("Tags")).get(tagging.KEY) == context.key]
        return mine[0]["SpotInstanceRequestId"] if mine else None

    def _described(self, context: Context) -> Found | None:
        doing = f"Spot request {self.id} could not be read"
        answer = self.find(context, doing, "DescribeSpotInstanceRequests", SpotInstanceRequestIds=[self.id])
        return ((answer or {}).get("SpotInstanceRequests") or [None])[0]

    def _fulfilled(self, context: Context) -> Found | None:
        known_by = time.monotonic() + cloud_of(context).settings.settle

        def done(found: Found | None) -> bool:
            if found is None:
                return time.monotonic() > known_by
            return found["State"] in ("active", *OVER) or bool(found.get("InstanceId"))

        found = cloud_of(context).until(context, f"Spot request {self.id}", lambda: self._described(context), done)
        if found is None:
            raise ResourceNotFound(f"Spot request {self.id} is gone: somebody has cancelled it.")
        if found["State"] in OVER:
            status = found.get("Status") or {}
            rule = by_code(str(status.get("Code", "")))
            kind: type[ProviderFailure] = rule.failure if rule else CapacityExhausted
            raise kind(f"Spot request {self.id} was not fulfilled: {status.get('Message') or found['State']}.")
        return found

    def _assign(self, context: Context, found: Found) -> None:
        self.spot_request_state = found.get("State") or "open"
        self.spot_bid_status = (found.get("Status") or {}).get("Code") or ""
        self.spot_instance_id = found.get("InstanceId") or ""
        if not is_known(self.spot_price):
            self.spot_price = found.get("SpotPrice") or ""
        for name in ("valid_from", "valid_until"):
            if not is_known(getattr(self, name)):
                setattr(self, name, "")
        machine = view.describe(self, context, self.spot_instance_id) if self.spot_instance_id else None
        if machine is not None:
            view.assign(self, context, machine)
        self.arn = self.arn_of(context, f"spot-instances-request/{self.id}")
        self._forget_unknown()

    def _forget_unknown(self) -> None:
        """There may be no machine yet to tell of."""
        for attribute_ in type(self).schema().attributes.values():
            if not is_known(getattr(self, attribute_.key)):
                setattr(self, attribute_.key, None)

    def _claim(self, context: Context) -> None:
        """The machine carries Stead's tags, too: AWS does not hand on those of the request."""
        if self.spot_instance_id:
            own = tagging.own(context.labels)
            if own:
                doing = f"Instance {self.spot_instance_id} could not be tagged"
                self.settle(context, doing, "CreateTags", Resources=[self.spot_instance_id], Tags=tagging.to_api(own))

    def read(self, context: Context) -> bool:
        found = self._described(context)
        if found is None or found["State"] in OVER:
            return False
        self._assign(context, found)
        read_tags(context, self, found.get("Tags"))
        return True

    def update(self, context: Context, prior: SpotInstanceRequest) -> None:
        self.retag(context, self.id, prior)
        found = self._described(context)
        if found is not None:
            self._assign(context, found)

    def delete(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "delete", 1200.0)) as inner:
            found = self._described(inner)
            doing = f"Spot request {self.id} could not be cancelled"
            if found is not None and found["State"] not in OVER:
                self.find(inner, doing, "CancelSpotInstanceRequests", SpotInstanceRequestIds=[self.id])
            # The request may have been fulfilled while it was being cancelled.
            latest = self._described(inner) or found or {}
            machine = latest.get("InstanceId") or given(self.spot_instance_id)
            if machine:
                life.terminate(self, inner, machine)

    @classmethod
    def import_(cls, context: Context, identity: str) -> SpotInstanceRequest | None:
        spot = cls(
            id=identity,
            associate_public_ip_address=Unknown,
            security_groups=Unknown,
            force_destroy=False,
            source_dest_check=True,
            wait_for_fulfillment=False,
        )
        found = spot._described(context)
        if found is None:
            return None
        spot.spot_type = found.get("Type") or "one-time"
        spot.instance_interruption_behavior = found.get("InstanceInterruptionBehavior") or "terminate"
        spot.spot_price = found.get("SpotPrice") or ""
        spot.user_data_replace_on_change = spot.fetch_password_data = False
        if found.get("InstanceId"):
            view.import_user_data(spot, context, found["InstanceId"])
        return spot if spot.read(context) else None
