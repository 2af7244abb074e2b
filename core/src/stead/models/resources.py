"""What a build made: resources, agents, apps, scripts; and the agents' logs."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, JsonField, Table, TimeField


class ResourceRow(Table):
    id = IdField(primary_key=True)
    build_id = IdField(index=True)
    position = peewee.IntegerField()
    address = peewee.TextField()
    type = peewee.CharField(max_length=128)
    name = peewee.CharField(max_length=128)
    icon = peewee.TextField(default="")
    hide = peewee.BooleanField(default=False)
    daily_cost = peewee.IntegerField(default=0)
    metadata = JsonField(default=list)

    class Meta:
        table_name = "resources"


class AgentRow(Table):
    """``sealed`` holds what only the agent itself may see: its environment.

    ``proven_at`` is when it last proved which machine it runs on, where it has no token.
    """

    id = IdField(primary_key=True)
    resource_id = IdField(index=True)
    build_id = IdField(index=True)
    workspace_id = IdField(null=True, index=True)
    name = peewee.CharField(max_length=64)
    os = peewee.CharField(max_length=16)
    arch = peewee.CharField(max_length=16)
    directory = peewee.TextField(default="")
    token_hash = peewee.CharField(max_length=64, null=True, index=True)
    instance_id = peewee.CharField(max_length=255, null=True, index=True)
    sealed = BytesField(null=True)
    lifecycle = peewee.CharField(max_length=32)
    motd_file = peewee.TextField(default="")
    connection_timeout = peewee.IntegerField(default=120)
    troubleshooting_url = peewee.TextField(default="")
    display_apps = JsonField(default=list)
    order = peewee.IntegerField(default=0, column_name="position")
    metadata = JsonField(default=list)
    settings = JsonField(default=dict)
    version = peewee.CharField(max_length=64, default="")
    boot_id = peewee.CharField(max_length=64, default="")
    log_size = peewee.IntegerField(default=0)
    created_at = TimeField()
    first_connected_at = TimeField(null=True)
    last_connected_at = TimeField(null=True)
    disconnected_at = TimeField(null=True)
    started_at = TimeField(null=True)
    ready_at = TimeField(null=True)
    proven_at = TimeField(null=True)

    class Meta:
        table_name = "agents"


class AppRow(Table):
    id = IdField(primary_key=True)
    agent_id = IdField(index=True)
    slug = peewee.CharField(max_length=64)
    display_name = peewee.CharField(max_length=64, default="")
    url = peewee.TextField(null=True)
    icon = peewee.TextField(default="")
    command = peewee.TextField(null=True)
    external = peewee.BooleanField(default=False)
    subdomain = peewee.BooleanField(default=False)
    share = peewee.CharField(max_length=16, default="owner")
    hidden = peewee.BooleanField(default=False)
    open_in = peewee.CharField(max_length=16, default="slim-window")
    order = peewee.IntegerField(default=0, column_name="position")
    group = peewee.CharField(max_length=64, default="", column_name="group_name")
    tooltip = peewee.TextField(default="")
    health = peewee.CharField(max_length=16)
    healthcheck = JsonField(null=True)

    class Meta:
        table_name = "apps"


class ScriptRow(Table):
    id = IdField(primary_key=True)
    agent_id = IdField(index=True)
    position = peewee.IntegerField()
    display_name = peewee.CharField(max_length=64)
    icon = peewee.TextField(default="")
    log_path = peewee.TextField(default="")
    script = peewee.TextField()
    cron = peewee.CharField(max_length=128, default="")
    run_on_start = peewee.BooleanField(default=False)
    run_on_stop = peewee.BooleanField(default=False)
    start_blocks_login = peewee.BooleanField(default=False)
    timeout = peewee.IntegerField(default=0)

    class Meta:
        table_name = "scripts"


class ScriptRunRow(Table):
    id = peewee.BigAutoField()
    script_id = IdField(index=True)
    stage = peewee.CharField(max_length=8)
    started_at = TimeField()
    finished_at = TimeField()
    exit_code = peewee.IntegerField()
    timed_out = peewee.BooleanField(default=False)

    class Meta:
        table_name = "script_runs"


class AgentLogRow(Table):
    agent_id = IdField()
    number = peewee.BigIntegerField()
    at = TimeField()
    level = peewee.CharField(max_length=8)
    source = peewee.CharField(max_length=64)
    text = peewee.TextField()

    class Meta:
        table_name = "agent_logs"
        primary_key = peewee.CompositeKey("agent_id", "number")
