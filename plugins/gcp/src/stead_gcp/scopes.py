"""Scopes of access, which templates name by their address or by a short name."""

from __future__ import annotations

from typing import Any

SCOPE = "https://www.googleapis.com/auth/"
SCOPES = {  # names that gcloud knows; others are the last part of the scope's address
    "bigquery": "bigquery",
    "compute-ro": "compute.readonly",
    "compute-rw": "compute",
    "datastore": "datastore",
    "logging-write": "logging.write",
    "monitoring": "monitoring",
    "monitoring-read": "monitoring.read",
    "monitoring-write": "monitoring.write",
    "pubsub": "pubsub",
    "service-control": "servicecontrol",
    "service-management": "service.management.readonly",
    "sql": "sqlservice",
    "sql-admin": "sqlservice.admin",
    "storage-full": "devstorage.full_control",
    "storage-ro": "devstorage.read_only",
    "storage-rw": "devstorage.read_write",
    "taskqueue": "taskqueue",
    "trace": "trace.append",
    "useraccounts-ro": "cloud.useraccounts.readonly",
    "useraccounts-rw": "cloud.useraccounts",
    "userinfo-email": "userinfo.email",
}


def scope(text: str) -> str:
    return text if text.startswith("https://") else SCOPE + SCOPES.get(text, text)


def same_scopes(one: Any, other: Any) -> bool:
    """Whether two sets name the same scopes."""
    return set(map(scope, one or ())) == set(map(scope, other or ()))
