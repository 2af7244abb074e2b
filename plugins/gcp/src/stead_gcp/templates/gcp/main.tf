terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    google = {
      source = "hashicorp/google"
    }
  }
}

variable "project" {
  type        = string
  description = "Project of Google Cloud in which the workspaces run; empty is the one of [plugins.gcp]."
  default     = ""
}

variable "zone" {
  type        = string
  description = "Zone in which they run."
  default     = "us-central1-a"
}

provider "google" {
  project = var.project == "" ? null : var.project
  zone    = var.zone
}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}
data "google_compute_default_service_account" "default" {}

data "coder_parameter" "machine_type" {
  name         = "machine_type"
  display_name = "Machine type"
  description  = "How large the machine is. It can be changed later; the disk stays."
  default      = "e2-medium"
  icon         = "/icon/gcp.svg"
  mutable      = true
  option {
    name  = "e2-medium (2 processors, 4 GB)"
    value = "e2-medium"
  }
  option {
    name  = "e2-standard-4 (4 processors, 16 GB)"
    value = "e2-standard-4"
  }
  option {
    name  = "e2-standard-8 (8 processors, 32 GB)"
    value = "e2-standard-8"
  }
}

# The machine proves by a token of Google Cloud which one it is: no secret stands in its metadata.
resource "coder_agent" "main" {
  auth = "google-instance-identity"
  arch = "amd64"
  os   = "linux"

  metadata {
    display_name = "CPU"
    key          = "cpu"
    script       = "coder stat cpu"
    interval     = 10
    timeout      = 5
    order        = 1
  }
  metadata {
    display_name = "Memory"
    key          = "memory"
    script       = "coder stat mem"
    interval     = 10
    timeout      = 5
    order        = 2
  }
}

resource "google_compute_disk" "root" {
  name  = "stead-${data.coder_workspace.me.id}-root"
  type  = "pd-balanced"
  size  = 30
  image = "debian-cloud/debian-12"

  # The disk outlives everything but the workspace itself.
  lifecycle {
    ignore_changes = [name, image]
  }
}

resource "google_compute_instance" "workspace" {
  count        = data.coder_workspace.me.start_count
  name         = "stead-${data.coder_workspace.me.id}"
  machine_type = data.coder_parameter.machine_type.value

  allow_stopping_for_update = true

  boot_disk {
    auto_delete = false
    source      = google_compute_disk.root.name
  }
  network_interface {
    network = "default"
    access_config {}
  }
  service_account {
    email  = data.google_compute_default_service_account.default.email
    scopes = ["cloud-platform"]
  }
  metadata_startup_script = <<-EOT
    #!/bin/sh
    id coder >/dev/null 2>&1 || useradd --create-home --shell /bin/bash coder
    exec su coder -c 'sh -s' <<'STEAD'
    ${coder_agent.main.init_script}
    STEAD
  EOT
}
