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

variable "region" {
  type        = string
  description = "Region whose zones can be chosen."
  default     = "us-central1"
}

provider "google" {
  project = var.project == "" ? null : var.project
  region  = var.region
  default_labels = {
    team = "workspaces"
  }
}

locals {
  # Credits for a day, by the prices of us-central1: python -m stead_gcp.prices MACHINE tells others.
  daily_cost = {
    "e2-medium"     = 1
    "e2-standard-2" = 2
    "e2-standard-4" = 4
    "e2-standard-8" = 7
    "n2-standard-4" = 5
  }
  running = data.coder_workspace.me.transition == "start"
}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}
data "google_client_config" "me" {}

data "google_compute_zones" "here" {
  status = "UP"
}

data "google_compute_machine_types" "here" {
  zone   = data.google_compute_zones.here.names[0]
  filter = join(" OR ", [for name in keys(local.daily_cost) : "(name = \"${name}\")"])
}

data "google_compute_image" "system" {
  family  = data.coder_parameter.system.value
  project = startswith(data.coder_parameter.system.value, "ubuntu") ? "ubuntu-os-cloud" : "debian-cloud"
}

data "coder_parameter" "zone" {
  name         = "zone"
  display_name = "Zone"
  description  = "Where the machine stands. The disks are there, so it cannot change."
  default      = data.google_compute_zones.here.names[0]
  mutable      = false
  order        = 1
  dynamic "option" {
    for_each = data.google_compute_zones.here.names
    content {
      name  = option.value
      value = option.value
    }
  }
}

data "coder_parameter" "machine_type" {
  name         = "machine_type"
  display_name = "Machine type"
  description  = "How large the machine is; the types that the zone has now."
  form_type    = "dropdown"
  default      = "e2-medium"
  mutable      = true
  order        = 2
  dynamic "option" {
    for_each = data.google_compute_machine_types.here.machine_types
    content {
      name  = "${option.value.name} (${option.value.guest_cpus} processors, ${floor(option.value.memory_mb / 1024)} GB)"
      value = option.value.name
    }
  }
}

data "coder_parameter" "system" {
  name         = "system"
  display_name = "System"
  description  = "The newest image of this family, at the first start."
  default      = "debian-12"
  mutable      = false
  order        = 3
  option {
    name  = "Debian 12"
    value = "debian-12"
  }
  option {
    name  = "Ubuntu 24.04"
    value = "ubuntu-2404-lts-amd64"
  }
}

data "coder_parameter" "home" {
  name         = "home"
  display_name = "Home folder"
  description  = "Size in GB. It can grow."
  type         = "number"
  form_type    = "slider"
  default      = 20
  mutable      = true
  order        = 4
  validation {
    min       = 10
    max       = 500
    monotonic = "increasing"
  }
}

data "coder_workspace_preset" "small" {
  name        = "Small"
  description = "For a look around."
  default     = true
  parameters = {
    (data.coder_parameter.machine_type.name) = "e2-medium"
    (data.coder_parameter.home.name)         = "20"
  }
}

data "coder_workspace_preset" "large" {
  name        = "Large"
  description = "For builds; two are kept ready."
  parameters = {
    (data.coder_parameter.machine_type.name) = "e2-standard-8"
    (data.coder_parameter.system.name)       = "debian-12"
    (data.coder_parameter.zone.name)         = data.google_compute_zones.here.names[0]
    (data.coder_parameter.home.name)         = "100"
  }
  prebuilds {
    instances = 2
    expiration_policy {
      ttl = 86400
    }
  }
}

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
  metadata {
    display_name = "Home"
    key          = "home"
    script       = "coder stat disk --path /home/coder"
    interval     = 60
    timeout      = 5
    order        = 3
  }
}

resource "coder_script" "welcome" {
  agent_id     = coder_agent.main.id
  display_name = "Welcome"
  icon         = "/icon/terminal.svg"
  run_on_start = true
  script       = "[ -e ~/README ] || echo 'What is in this folder stays.' >~/README"
}

resource "google_compute_disk" "home" {
  name = "stead-${data.coder_workspace.me.id}-home"
  zone = data.coder_parameter.zone.value
  type = "pd-balanced"
  size = data.coder_parameter.home.value
}

resource "google_compute_firewall" "closed" {
  name        = "stead-${data.coder_workspace.me.id}"
  network     = "default"
  description = "Nobody connects to the workspace from outside; its agent connects to the server."
  priority    = 900
  deny {
    protocol = "all"
  }
  source_ranges = ["0.0.0.0/0"]
  target_tags   = ["stead-${data.coder_workspace.me.id}"]
}

# Stopped, not deleted, when the workspace stops: the system's disk stays, with what was installed.
resource "google_compute_instance" "workspace" {
  name                      = "stead-${data.coder_workspace.me.id}"
  zone                      = data.coder_parameter.zone.value
  machine_type              = data.coder_parameter.machine_type.value
  desired_status            = local.running ? "RUNNING" : "TERMINATED"
  allow_stopping_for_update = true
  tags                      = ["stead-${data.coder_workspace.me.id}"]

  boot_disk {
    initialize_params {
      image = data.google_compute_image.system.self_link
      size  = 20
      type  = "pd-balanced"
    }
  }
  attached_disk {
    source      = google_compute_disk.home.self_link
    device_name = "home"
  }
  network_interface {
    network = "default"
    access_config {}
  }
  shielded_instance_config {
    enable_secure_boot = true
  }
  metadata = {
    startup-script = <<-EOT
      #!/bin/sh
      home=/dev/disk/by-id/google-home
      blkid "$home" >/dev/null || mkfs.ext4 -q "$home"
      mkdir -p /home
      mountpoint -q /home || mount "$home" /home
      resize2fs "$home" >/dev/null 2>&1
      id coder >/dev/null 2>&1 || useradd --create-home --shell /bin/bash coder
      exec su coder -c 'sh -s' <<'STEAD'
      ${coder_agent.main.init_script}
      STEAD
    EOT
  }
  # A newer image of the family must not make the machine anew.
  lifecycle {
    ignore_changes = [boot_disk]
  }
}

resource "coder_metadata" "machine" {
  resource_id = google_compute_instance.workspace.id
  icon        = "/icon/gcp.svg"
  daily_cost  = local.running ? lookup(local.daily_cost, data.coder_parameter.machine_type.value, 5) : 0
  item {
    key   = "machine type"
    value = data.coder_parameter.machine_type.value
  }
  item {
    key   = "zone"
    value = data.coder_parameter.zone.value
  }
  item {
    key   = "project"
    value = data.google_client_config.me.project
  }
}

resource "coder_metadata" "home" {
  resource_id = google_compute_disk.home.id
  daily_cost  = ceil(data.coder_parameter.home.value * 0.0033)
  item {
    key   = "size"
    value = "${data.coder_parameter.home.value} GB"
  }
}
