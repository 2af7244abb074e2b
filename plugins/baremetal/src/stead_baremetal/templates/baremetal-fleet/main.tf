terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    baremetal = {
      source = "stead/baremetal"
    }
  }
}

variable "label" {
  type        = string
  description = "Label of the inventory that people choose by."
  default     = "class"
}

provider "baremetal" {}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "baremetal_machines" "all" {}

# What the machines of the chosen class cost, for the quota.
data "baremetal_machines" "chosen" {
  labels = local.wanted
}

locals {
  classes = lookup(data.baremetal_machines.all.label_values, var.label, [])
  wanted = merge(
    length(local.classes) > 0 ? { (var.label) = data.coder_parameter.class.value } : {},
    data.coder_parameter.memory.value > 0 ? { memory = ">=${data.coder_parameter.memory.value}" } : {},
  )
  running = data.coder_workspace.me.transition == "start"
}

data "coder_parameter" "class" {
  name         = "class"
  display_name = "Class"
  description  = "Which kind of machine; the kinds that the inventory has now."
  form_type    = "dropdown"
  default      = length(local.classes) > 0 ? local.classes[0] : "any"
  mutable      = true
  order        = 1
  dynamic "option" {
    for_each = length(local.classes) > 0 ? local.classes : ["any"]
    content {
      name  = option.value
      value = option.value
    }
  }
}

data "coder_parameter" "memory" {
  name         = "memory"
  display_name = "Memory"
  description  = "At least so many GB, by the label memory of the machines; 0 takes any."
  type         = "number"
  form_type    = "slider"
  default      = 0
  mutable      = true
  order        = 2
  validation {
    min = 0
    max = 2048
  }
}

data "coder_workspace_preset" "any" {
  name        = "Any machine"
  description = "The cheapest that is free; one is kept ready."
  default     = true
  parameters = {
    (data.coder_parameter.memory.name) = "0"
  }
  prebuilds {
    instances = 1
    expiration_policy {
      ttl = 86400
    }
  }
}

data "coder_workspace_preset" "large" {
  name        = "Large"
  description = "For builds that need memory."
  parameters = {
    (data.coder_parameter.memory.name) = "64"
  }
}

resource "coder_agent" "main" {
  arch = "amd64"
  os   = "linux"
  env = {
    EDITOR = "vi"
  }

  metadata {
    display_name = "CPU"
    key          = "cpu"
    script       = "coder stat cpu --host"
    interval     = 10
    timeout      = 5
    order        = 1
  }
  metadata {
    display_name = "Memory"
    key          = "memory"
    script       = "coder stat mem --host"
    interval     = 10
    timeout      = 5
    order        = 2
  }
  metadata {
    display_name = "Uptime"
    key          = "uptime"
    script       = "cut -d. -f1 /proc/uptime"
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
  script       = "[ -e ~/README ] || echo 'What is in this folder stays while the workspace is stopped.' >~/README"
}

# The home folder is on the machine, which stays the workspace's while that is stopped. Another class or more memory
# is another machine: the build says so before anything is wiped.
resource "baremetal_host" "workspace" {
  labels         = local.wanted
  desired_status = local.running ? "running" : "stopped"
  power_off      = false
  init_script    = coder_agent.main.init_script
  token          = coder_agent.main.token
  env = {
    WORKSPACE = data.coder_workspace.me.name
  }
  timeouts {
    create = "20m"
    delete = "30m"
  }
}

resource "coder_metadata" "machine" {
  resource_id = baremetal_host.workspace.id
  icon        = "/icon/server.svg"
  # Stopped or not, nobody else can have it.
  daily_cost = ceil(data.baremetal_machines.chosen.lowest_daily_price)
  item {
    key   = "machine"
    value = baremetal_host.workspace.name
  }
  item {
    key   = "processors"
    value = baremetal_host.workspace.cpus
  }
  item {
    key   = "memory"
    value = "${floor(baremetal_host.workspace.memory_mib / 1024)} GB"
  }
  item {
    key   = "labels"
    value = join(", ", [for name, value in baremetal_host.workspace.machine_labels : "${name}=${value}"])
  }
}
