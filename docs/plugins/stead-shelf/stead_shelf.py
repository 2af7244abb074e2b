"""A Stead plugin in one file: text files on a shelf, as Terraform resources."""
from pathlib import Path

from stead.api import ProviderSpec, hookimpl
from stead.api.provider import Context, Provider, Resource, attribute


class Note(Resource, name="shelf_note"):
    """A text file that exists as long as its workspace."""
    id: str = attribute(computed=True)
    path: str = attribute(required=True)
    text: str = attribute(required=True)
    def create(self, context: Context) -> None:
        self.id = self.path
        Path(self.path).write_text(self.text)
    def read(self, context: Context) -> bool:
        return Path(self.path).exists()
    def delete(self, context: Context) -> None:
        Path(self.path).unlink(missing_ok=True)
class Shelf(Provider, address="example/shelf", resources=[Note]):
    """Needs no configuration."""
@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("example/shelf", "Shelf", factory=lambda _: Shelf())]
