"""``azurerm_virtual_machine_data_disk_attachment``."""

from __future__ import annotations

from typing import Any, Self

from stead.api.errors import ProviderFailure, ResourceConflict, ResourceNotFound
from stead.api.provider import Context, Nesting, Resource, attribute, between, block, one_of
from stead.api.provider.durations import seconds
from stead_azure import ids
from stead_azure.base import Timeouts, given, pruned, referred, told
from stead_azure.cloud import Found, cloud_of, limited
from stead_azure.machine import LinuxMachine
from stead_azure.operations import MACHINE_DISKS, MACHINE_UPDATE

is_machine = ids.id_of_a("a virtual machine", ids.COMPUTE, "virtualMachines")
is_disk = ids.id_of_a("a disk", ids.COMPUTE, "disks")


class DiskAttachment(Resource, name="azurerm_virtual_machine_data_disk_attachment"):
    """A disk in a machine. The disk stays where the machine goes."""

    id: str = attribute(computed=True)
    virtual_machine_id: str = attribute(
        required=True, force_new=True, validators=[is_machine], normalize=ids.same, description="The machine."
    )
    managed_disk_id: str = attribute(
        required=True, force_new=True, validators=[is_disk], normalize=ids.same, description="The disk."
    )
    lun: int = attribute(required=True, force_new=True, validators=[between(0, 63)], description="Its number there.")
    caching: str = attribute(required=True, validators=[one_of("None", "ReadOnly", "ReadWrite")], description="None …")
    create_option: str = attribute(
        default="Attach", force_new=True, validators=[one_of("Attach", "Empty")], description="Attach or Empty."
    )
    write_accelerator_enabled: bool = attribute(default=False, description="For M series.")
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def _machine(self) -> LinuxMachine:
        found = LinuxMachine.from_id(self.virtual_machine_id)
        if found is None:
            raise ProviderFailure(f"{self.virtual_machine_id} is no id of a machine.", field="virtual_machine_id")
        return found

    @property
    def _disk_name(self) -> str:
        found = ids.parse(self.managed_disk_id)
        return found.name if found else self.managed_disk_id

    def _limited(self, context: Context, step: str) -> Any:
        text = given(getattr(self.timeouts, step, None))
        return limited(context, seconds(text) if text else 1800.0)

    def _made_id(self) -> str:
        return f"{self.virtual_machine_id}/dataDisks/{self._disk_name}"

    def create(self, context: Context) -> None:
        with self._limited(context, "create") as inner, cloud_of(inner).exclusive(inner, self.virtual_machine_id):
            machine = self._machine()
            found = machine.expect(inner)
            if found is None:
                raise ResourceNotFound(f"There is no {machine.called}.", field="virtual_machine_id")
            present = self._of(found)
            if present is None:
                with told(self, self._made_id()):
                    self._attach(inner, machine)
            elif present["lun"] != self.lun:
                raise ResourceConflict(
                    f"Disk {self._disk_name} is in {machine.called} already, as number {present['lun']}."
                )
            self.id = self._made_id()

    def _attach(self, context: Context, machine: LinuxMachine) -> None:
        disk = {
            "diskId": self.managed_disk_id,
            "lun": self.lun,
            "caching": self.caching,
            "deleteOption": "Detach",
            "writeAcceleratorEnabled": self.write_accelerator_enabled,
        }
        doing = f"Disk {self._disk_name} could not be attached to {machine.name}"
        body = {"dataDisksToAttach": [disk]}
        cloud_of(context).patient(context, doing, MACHINE_DISKS, *machine.names(), body, field=_field)

    def _of(self, found: Found | None) -> Found | None:
        """This disk among those of the machine; one on its way out is none."""
        disks = (((found or {}).get("properties") or {}).get("storageProfile") or {}).get("dataDisks") or ()
        here = [item for item in disks if ids.same(referred(item.get("managedDisk")), self.managed_disk_id)]
        return next((item for item in here if not item.get("toBeDetached")), None)

    def read(self, context: Context) -> bool:
        with self._limited(context, "read") as inner:
            found = self._of(self._machine().look(inner))
        if found is None:
            return False
        self.lun, self.caching = found["lun"], found.get("caching") or "None"
        self.write_accelerator_enabled = bool(found.get("writeAcceleratorEnabled"))
        return True

    def update(self, context: Context, prior: DiskAttachment) -> None:
        """Only how the disk is cached has changed."""
        del prior
        with self._limited(context, "update") as inner, cloud_of(inner).exclusive(inner, self.virtual_machine_id):
            machine = self._machine()
            disks = machine.must_look(inner)["properties"]["storageProfile"].get("dataDisks") or []
            if self._of({"properties": {"storageProfile": {"dataDisks": disks}}}) is None:
                raise ResourceNotFound(f"Disk {self._disk_name} was taken out of {machine.name} by somebody.")
            body = {"properties": {"storageProfile": {"dataDisks": [self._changed(item) for item in disks]}}}
            doing = f"Disk {self._disk_name} in {machine.name} could not be changed"
            cloud_of(inner).patient(inner, doing, MACHINE_UPDATE, *machine.names(), body)

    def _changed(self, disk: Found) -> Found:
        kept = ("lun", "name", "createOption", "caching", "deleteOption", "writeAcceleratorEnabled", "managedDisk")
        body = {name: disk[name] for name in kept if name in disk}
        if ids.same(referred(disk.get("managedDisk")), self.managed_disk_id):
            body |= {"caching": self.caching, "writeAcceleratorEnabled": self.write_accelerator_enabled}
        pruned_body: Found = pruned(body)
        return pruned_body

    def delete(self, context: Context) -> None:
        with self._limited(context, "delete") as inner, cloud_of(inner).exclusive(inner, self.virtual_machine_id):
            machine = self._machine()
            if self._of(machine.look(inner)) is None:
                return
            doing = f"Disk {self._disk_name} could not be detached from {machine.name}"
            body = {"dataDisksToDetach": [{"diskId": self.managed_disk_id, "detachOption": None}]}
            cloud_of(inner).remove(inner, doing, MACHINE_DISKS, *machine.names(), pruned(body))

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self | None:
        """``MACHINE/dataDisks/NAME``, as the original provider takes it."""
        owner, _, name = identity.rpartition("/dataDisks/")
        machine = LinuxMachine.from_id(owner)
        if machine is None:
            raise ProviderFailure(
                f"{identity!r} is no id of a disk in a machine.", remedy="Give MACHINE/dataDisks/NAME."
            )
        disks = ((machine.look(context) or {}).get("properties", {}).get("storageProfile") or {}).get("dataDisks") or ()
        for disk in disks:
            if str(disk.get("name", "")).lower() == name.lower():
                made = cls(
                    virtual_machine_id=owner, managed_disk_id=referred(disk["managedDisk"]), create_option="Attach"
                )
                made.id = made._made_id()
                return made if made.read(context) else None
        return None


def _field(failure: ProviderFailure) -> str | None:
    return "lun" if "lun" in failure.message.lower() else "managed_disk_id"
