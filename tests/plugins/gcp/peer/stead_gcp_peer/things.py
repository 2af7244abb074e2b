"""Disks, addresses and firewall rules: what happens to them."""

from __future__ import annotations

from typing import Any

from stead_gcp_peer.world import ADDRESS, STAMP, Found, Problem, World, fingerprint, not_found


def created(world: World, path: str, kind: str, body: Found, status: str | None) -> Found:
    """A new thing, as it is seen from the first moment on."""
    if path in world.things:
        raise Problem(409, "alreadyExists", f"The resource '{path}' already exists")
    thing = {**body, "kind": f"compute#{kind}", "id": str(next(world.numbers)), "selfLink": ADDRESS + path}
    thing["creationTimestamp"] = STAMP
    if status is not None:
        thing["status"] = status
    if kind != "firewall":
        thing["labelFingerprint"] = fingerprint(thing.get("labels", {}))
    world.things[path] = thing
    world.made.append(path)
    return thing


def full(world: World, link: str) -> str:
    """The whole address of what a link names, which must exist."""
    path = world.path(link)
    if path not in world.things:
        raise Problem(400, "invalid", f"Invalid value for field: '{link}'. The referenced resource does not exist.")
    return ADDRESS + path


def image_of(world: World, link: str) -> Found:
    path = world.path(link)
    head, _, family = path.partition("/images/family/")
    if family:
        found = [
            thing for key, thing in world.all("images").items() if key.startswith(head) and thing["family"] == family
        ]
        if not found:
            raise not_found(path)
        return found[-1]
    return world.get(path)


def new_disk(world: World, path: str, body: Found, status: str = "CREATING") -> Found:
    zone = "/".join(path.split("/")[:4])
    image = image_of(world, body["sourceImage"]) if body.get("sourceImage") else None
    least = int(image["diskSizeGb"]) if image else 10
    size = int(body.get("sizeGb", least))
    if size < least:
        raise Problem(400, "invalid", f"Requested disk size cannot be smaller than the image size ({least} GB)")
    kind = body.get("type", f"{zone}/diskTypes/pd-standard")
    if not kind.startswith(zone):
        raise Problem(400, "invalid", f"Invalid value for field 'resource.type': '{kind}'")
    thing = created(world, path, "disk", body, status)
    thing.update(sizeGb=str(size), type=ADDRESS + kind, zone=ADDRESS + zone, physicalBlockSizeBytes="4096")
    if image:
        thing.update(sourceImage=image["selfLink"], sourceImageId=image["id"], architecture="X86_64")
    return thing


def finish_disk(world: World, path: str) -> None:
    if path in world.things:
        world.things[path]["status"] = "READY"


def delete_disk(world: World, path: str) -> None:
    if world.get(path).get("users"):
        raise Problem(
            400, "resourceInUseByAnotherResource", f"The disk resource '{path}' is already being used by an instance"
        )
    world.things.pop(path)


def new_address(world: World, path: str, body: Found) -> Found:
    number = next(world.numbers) % 250
    inside = body.get("addressType") == "INTERNAL"
    thing = created(world, path, "address", body, "RESERVING")
    thing.setdefault("address", f"10.128.0.{number}" if inside else f"203.0.113.{number}")
    thing.setdefault("addressType", "EXTERNAL")
    thing.setdefault("networkTier", "PREMIUM")
    thing["region"] = ADDRESS + "/".join(path.split("/")[:4])
    return thing


def new_firewall(world: World, path: str, body: Found) -> Found:
    network = full(world, body.get("network", "global/networks/default"))
    thing = created(world, path, "firewall", body, None)
    thing.update(network=network)
    return completed(thing)


def completed(rule: Found) -> Found:
    """What the API fills in."""
    rule.setdefault("direction", "INGRESS")
    rule.setdefault("priority", 1000)
    rule.setdefault("disabled", False)
    log = rule.setdefault("logConfig", {"enable": False})
    if log.get("enable"):
        log.setdefault("metadata", "INCLUDE_ALL_METADATA")
    if bool(rule.get("allowed")) == bool(rule.get("denied")):
        raise Problem(400, "invalid", "Exactly one of allowed and denied must be specified")
    for name in ("sourceRanges", "sourceTags", "targetTags", "destinationRanges"):
        if rule.get(name) == []:
            rule.pop(name)
    if rule["direction"] == "INGRESS" and not any(
        rule.get(n) for n in ("sourceRanges", "sourceTags", "sourceServiceAccounts")
    ):
        rule["sourceRanges"] = ["0.0.0.0/0"]
    return rule


def set_labels(world: World, path: str, body: Found) -> None:
    thing = world.get(path)
    expect(thing.get("labelFingerprint"), body.get("labelFingerprint"), "Labels")
    thing["labels"] = body.get("labels", {})
    thing["labelFingerprint"] = fingerprint(thing["labels"])


def expect(have: Any, given: Any, what: str) -> None:
    if have != given:
        raise Problem(412, "conditionNotMet", f"{what} fingerprint either invalid or resource labels have changed")
