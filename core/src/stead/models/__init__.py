"""The tables, one file per aggregate, and their migrations. No row leaves :mod:`stead.store`."""

from stead.models.base import Table, using
from stead.models.jobs import JobLogRow, JobRow, JournalRow, ProvisionerRow
from stead.models.people import LoginFailureRow, SessionRow, TokenRow, UserKeyRow, UserRoleRow, UserRow
from stead.models.resources import AgentLogRow, AgentRow, AppRow, ResourceRow, ScriptRow, ScriptRunRow
from stead.models.system import AuditRow, AuthorityRow, MetaRow
from stead.models.templates import ArchiveRow, TemplateRow, TemplateVersionRow
from stead.models.workspaces import BuildRow, StateRow, WorkspaceRow

TABLES: tuple[type[Table], ...] = (
    MetaRow,
    AuthorityRow,
    AuditRow,
    UserRow,
    UserRoleRow,
    UserKeyRow,
    SessionRow,
    TokenRow,
    LoginFailureRow,
    ArchiveRow,
    TemplateRow,
    TemplateVersionRow,
    JobRow,
    JobLogRow,
    JournalRow,
    ProvisionerRow,
    WorkspaceRow,
    BuildRow,
    StateRow,
    ResourceRow,
    AgentRow,
    AppRow,
    ScriptRow,
    ScriptRunRow,
    AgentLogRow,
)

__all__ = [
    "TABLES",
    "AgentLogRow",
    "AgentRow",
    "AppRow",
    "ArchiveRow",
    "AuditRow",
    "AuthorityRow",
    "BuildRow",
    "JobLogRow",
    "JobRow",
    "JournalRow",
    "LoginFailureRow",
    "MetaRow",
    "ProvisionerRow",
    "ResourceRow",
    "ScriptRow",
    "ScriptRunRow",
    "SessionRow",
    "StateRow",
    "Table",
    "TemplateRow",
    "TemplateVersionRow",
    "TokenRow",
    "UserKeyRow",
    "UserRoleRow",
    "UserRow",
    "WorkspaceRow",
    "using",
]
